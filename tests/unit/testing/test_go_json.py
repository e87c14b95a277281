"""JSON in Go's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bananas import SerializationError
from bananas.testing._go_json import compact, encode, syntax_error
from tests.unit.strategies import JSON_VALUES, quickly


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unexpected end of JSON input"),
        ("  ", "unexpected end of JSON input"),
        ("[1,2", "unexpected end of JSON input"),
        ('{"a":', "unexpected end of JSON input"),
        ('"open', "unexpected end of JSON input"),
        ('"\\', "unexpected end of JSON input"),
        ("tru", "unexpected end of JSON input"),
        ("-", "unexpected end of JSON input"),
        ("{not json", "invalid character 'n' looking for beginning of object key string"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"', "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ("'x'", "invalid character '\\'' looking for beginning of value"),
        ("\x00", "invalid character '\\u0000' looking for beginning of value"),
        ("01", "invalid character '1' after top-level value"),
        ("{}x", "invalid character 'x' after top-level value"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("trup", "invalid character 'p' in literal true (expecting 'e')"),
        ("nil", "invalid character 'i' in literal null (expecting 'u')"),
        ('"a\n"', "invalid character '\\n' in string literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
    ],
)
def test_syntax_errors(text: str, message: str) -> None:
    """The first thing that is no JSON is named as Go's scanner names it."""
    assert syntax_error(text) == message


@quickly
@given(JSON_VALUES)
def test_json_has_no_syntax_error(value: Any) -> None:
    """What is JSON is let through, packed or indented."""
    assert syntax_error(json.dumps(value)) == ""
    assert syntax_error(json.dumps(value, indent=2, ensure_ascii=False)) == ""


@quickly
@given(st.text(st.sampled_from('{}[]:,"\\ntrue01.e-+ \n'), max_size=12))
def test_verdict_is_that_of_pythons_decoder(text: str) -> None:
    """What no decoder takes has a syntax error, and nothing else has."""
    try:
        json.loads(text)
        accepted = True
    except ValueError:
        accepted = False
    assert (syntax_error(text) == "") is accepted


def test_deep_nesting_needs_no_stack() -> None:
    """A text of any depth gets a verdict."""
    assert syntax_error("[" * 100_000) == "unexpected end of JSON input"
    assert syntax_error("[" * 100_000 + "]" * 100_000) == ""


@quickly
@given(JSON_VALUES)
def test_encoding_changes_no_value(value: Any) -> None:
    """Go's escapes stand for the characters themselves, and none of these is left."""
    text = encode(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


@quickly
@given(JSON_VALUES)
def test_compacting_changes_no_value(value: Any) -> None:
    """Only white space between tokens goes away."""
    assert compact(json.dumps(value, indent=3, ensure_ascii=False)) == encode(value) or (
        json.loads(compact(json.dumps(value, indent=3))) == value
    )


def test_compacting_keeps_the_text_of_numbers_and_strings() -> None:
    """Numbers are not read, and white space in strings stays."""
    assert compact('{ "a b" : [ 1.50 , -0.0,\n1E400 ] }') == '{"a b":[1.50,-0.0,1E400]}'


def test_a_value_that_is_no_json_is_refused() -> None:
    """The place of the trouble is named."""
    with pytest.raises(SerializationError, match=r"^result\.when is of type set"):
        encode({"when": {1}})
