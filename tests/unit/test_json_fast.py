"""JSON written with the ``fast`` extra and without it, side by side."""

from __future__ import annotations

import dataclasses
import enum
import math
import subprocess
import sys
import uuid
from collections import OrderedDict
from datetime import datetime
from typing import Any, List, NamedTuple, Tuple

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bananas import exceptions as exc
from bananas._wire import json as _json
from tests.unit.source_tree import ROOT
from tests.unit.strategies import JSON_VALUES, quickly


class Word(str):
    """A string of a class of its own."""


class Mood(str, enum.Enum):
    """A string that is an enum member too."""

    GOOD = "good"


class Level(enum.IntEnum):
    """A number that is an enum member too."""

    LOW = 1


class Plain(enum.Enum):
    """No JSON, but orjson writes it."""

    ONE = 1


class Pair(NamedTuple):
    """A tuple of a class of its own."""

    left: Any
    right: Any


@dataclasses.dataclass
class Point:
    """No JSON, but orjson writes it."""

    x: int = 1


_KEYS = st.one_of(
    st.text(max_size=3),  # lone surrogates too
    st.sampled_from([Word("key"), Mood.GOOD, 1, 1.5, True, None, (1,), b"key", Plain.ONE]),
    st.uuids(),
)
_ODD = st.one_of(
    st.floats(),
    st.text(max_size=3),
    st.integers(2**62, 2**66) | st.integers(-(2**66), -(2**62)),
    st.uuids(),
    st.datetimes(),
    st.binary(max_size=2),
    st.sampled_from([Word("word"), Mood.GOOD, Level.LOW, Plain.ONE, Point(), Point, {1}]),
    st.sampled_from([orjson.Fragment(b"1"), memoryview(b"1"), math.inf, 10**4001, ...]),
)
_ANYTHING: st.SearchStrategy[Any] = st.recursive(
    JSON_VALUES | _ODD,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.builds(Pair, inner, inner),
        st.dictionaries(_KEYS, inner, max_size=3),
        st.dictionaries(_KEYS, inner, max_size=3).map(OrderedDict),
    ),
    max_leaves=8,
)


def written(value: Any) -> Tuple[bytes, str]:
    """Return the bytes, or the message of the refusal."""
    try:
        return _json.dumps(value), ""
    except exc.SerializationError as error:
        assert error.__context__ is None
        return b"", str(error)


def without_orjson(value: Any) -> Tuple[bytes, str]:
    """Return what ``written`` does where orjson is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_json, "_fast", None)
        return written(value)


def lists(depth: int) -> List[Any]:
    """Return lists inside each other, this many."""
    value: List[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_orjson_is_what_writes() -> None:
    """Where orjson is installed it is found, so that the tests below compare two encoders."""
    assert _json._fast is orjson.dumps


@quickly
@given(_ANYTHING)
@example({"big": 2**64, "small": -(2**63) - 1})
@example(['\x00\x1f\x7f\x80\u2028\u2029\ufeff\U0010ffff\\"/<>&', "\ud800"])
@example([1e16, 1e-5, -0.0, math.nan])
@example([uuid.UUID(int=0), datetime(2025, 1, 1)])
def test_the_same_with_and_without(value: Any) -> None:
    """Any value at all gives the same bytes, or the same refusal, with orjson and without."""
    assert written(value) == without_orjson(value)


@quickly
@given(st.characters(codec="utf-8"))
def test_every_character_is_written_alike(character: str) -> None:
    """A character is written as it is, or escaped alike, in a value and in a key."""
    value = {character: character}
    assert written(value) == without_orjson(value)


def test_ascii_is_written_alike() -> None:
    """So is each of the characters that may need an escape."""
    value = [{chr(code): chr(code)} for code in range(0x2100)]
    assert written(value) == without_orjson(value)


@pytest.mark.parametrize("depth", [100, 254, 255, 256, 10_000])
def test_deep_values_are_written_alike(depth: int) -> None:
    """What is nested more deeply than orjson writes is left to the standard encoder."""
    value = lists(depth)
    assert written(value) == without_orjson(value)


def test_a_circle_is_refused_alike() -> None:
    """A value that holds itself is refused with the same words."""
    circle: List[Any] = [1]
    circle.append({"again": circle})
    assert written(circle) == without_orjson(circle)
    assert written(circle)[1]


@pytest.mark.parametrize("value", [{"a": [1, ("x", None, True)]}, "text", 1, None, {}, [[]]])
def test_plain_values_take_the_fast_path(value: Any) -> None:
    """Strings, whole numbers, booleans and null, in plain containers, are orjson's."""
    assert _json._is_plain([value])


@pytest.mark.parametrize("value", [1.0, Word("x"), Level.LOW, uuid.UUID(int=0), Pair(1, 2)])
def test_all_else_takes_the_standard_path(value: Any) -> None:
    """What the two encoders may write differently is never orjson's, however deep it sits."""
    assert not _json._is_plain([{"a": [1, (value,)]}])


def test_without_orjson_installed() -> None:
    """Where orjson can't be imported, the standard encoder writes."""
    program = (
        "import sys; sys.modules['orjson'] = None\n"
        "from bananas._wire import json as _json\n"
        "assert _json._fast is None\n"
        "assert _json.dumps({'a': [1]}) == b'{\"a\":[1]}'"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": str(ROOT.parent)}, check=True, timeout=60,
    )  # fmt: skip
