"""JSON that Go accepts, and limits on what is read."""

from __future__ import annotations

import enum
import json
import re
import sys
import threading
from datetime import datetime
from decimal import Decimal
from typing import Any, Callable, Iterator, List, NamedTuple, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bananas import exceptions as exc
from bananas._wire import json as _json
from bananas._wire.json_problems import MAX_NESTING, max_levels
from bananas._wire.json_scan import scan_members
from tests.unit.strategies import BYTES, DOCUMENT_BYTES, JSON_VALUES, quickly

SECRET = "s3cr3t"


def message(text: str) -> str:
    """Return a pattern that matches this message and no other."""
    return f"^{re.escape(text)}$"


@pytest.fixture(params=["installed", "absent"], scope="module", autouse=True)
def orjson(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test with whatever encoder is installed, and with the standard one."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "absent":
            patch.setattr(_json, "_fast", None)
        yield


class Color(str, enum.Enum):
    """A string that is an enum member too."""

    RED = "red"


class Level(enum.IntEnum):
    """A number that is an enum member too."""

    LOW = 1


class Pair(NamedTuple):
    """A tuple that has a class of its own."""

    left: int
    right: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0, "0"),
        (-0.0, "-0.0"),
        (1e300, "1e+300"),
        (2**80, "1208925819614629174706176"),
        ("", '""'),
        ("<&>\u00e9\u2028\U0001f34c", '"<&>\u00e9\u2028\U0001f34c"'),
        ('"\\\n\x00', '"\\"\\\\\\n\\u0000"'),
        ([], "[]"),
        ({}, "{}"),
        ((1, 2), "[1,2]"),
        (Pair(1, 2), "[1,2]"),
        ({"a": [1, {"b": None}]}, '{"a":[1,{"b":null}]}'),
        ({Color.RED: Color.RED, "n": Level.LOW}, '{"red":"red","n":1}'),
    ],
)
def test_writing(value: Any, text: str) -> None:
    """JSON is written compactly, in UTF-8, without escapes that nobody needs."""
    assert _json.dumps(value) == text.encode()


def circle() -> List[Any]:
    """Return a list that holds itself."""
    items: List[Any] = [1]
    items.append({"again": items})
    return items


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"),
         "payload is not a finite number; JSON has no NaN or Infinity: pass None or a string"),
        ({"a": [0, float("inf")]},
         "payload.a[1] is not a finite number; JSON has no NaN or Infinity: pass None or a string"),
        ({"a": {1: SECRET}},
         "payload.a has a key of type int; JSON keys are strings: pass str(key)"),
        (({1: SECRET},),
         "payload[0] has a key of type int; JSON keys are strings: pass str(key)"),
        ({None: SECRET},
         "payload has a key of type NoneType; JSON keys are strings: pass str(key)"),
        ([{"a b": b"s3cr3t"}], "payload[0]['a b'] is of type bytes, which JSON has no form for: "
        "pass value.decode(), or base64.b64encode(value).decode()"),
        ({"when": datetime(2025, 1, 1)},
         "payload.when is of type datetime, which JSON has no form for: pass value.isoformat()"),
        ([Decimal(1)], "payload[0] is of type Decimal, which JSON has no form for: "
        "pass str(value), which keeps every digit"),
        ([{SECRET}], "payload[0] is of type set, which JSON has no form for: "
        "pass sorted(value) or list(value)"),
        ("ab\ud800", "payload contains a lone surrogate at position 2, not UTF-8"),
        ({"a\udfff": 1}, "payload has a key with a lone surrogate, which Go can't read"),
        (circle(), "payload[1].again refers to itself"),
        pytest.param([10**5000], "payload[0] is a number of more than 4,000 digits", id="huge"),
    ],
)  # fmt: skip
def test_what_go_refuses_is_not_written(value: Any, expected: str) -> None:
    """The message says where the trouble sits, and shows no value."""
    with pytest.raises(exc.SerializationError, match=message(expected)) as caught:
        _json.dumps(value)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_the_argument_is_named() -> None:
    """A message speaks of the argument that the caller gave."""
    with pytest.raises(exc.SerializationError, match=r"^result\[0\] is of type object, which"):
        _json.dumps([object()], "result")


def test_a_long_path_is_cut_in_the_middle() -> None:
    """A path through long keys stays readable."""
    with pytest.raises(exc.SerializationError) as caught:
        _json.dumps({"k" * 1000: {"l" * 1000: object()}})
    assert str(caught.value).endswith(
        "lll is of type object, which JSON has no form for: "
        "convert it first; a client's json_default does that for every submit"
    )
    assert len(str(caught.value)) < 320


def test_the_same_value_twice_is_no_circle() -> None:
    """A value that stands in two places is written twice."""
    shared = ["x"]
    assert _json.dumps([shared, {"a": shared}]) == b'[["x"],{"a":["x"]}]'
    with pytest.raises(exc.SerializationError, match=r"^payload\[2\] is of type object"):
        _json.dumps([shared, shared, object()])


@quickly
@given(JSON_VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    """Every JSON value survives, and a strict reader of UTF-8 takes the text."""
    data = _json.dumps(value)
    assert _json.loads(data) == value
    assert _json.loads(data.decode()) == value
    assert json.loads(data.decode("utf-8", "strict"), parse_constant=pytest.fail) == value


UNWRITABLE = (
    st.just(float("nan")) | st.just("\ud800") | st.binary(max_size=2) | st.sets(st.integers())
)
ALMOST_JSON: st.SearchStrategy[Any] = st.recursive(
    JSON_VALUES | UNWRITABLE,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


@quickly
@given(ALMOST_JSON)
def test_any_value_is_written_or_refused(value: Any) -> None:
    """Any value at all gives UTF-8 that reads back, or our error."""
    try:
        data = _json.dumps(value)
    except exc.SerializationError as error:
        assert error.__context__ is None
        return
    assert _json.loads(data.decode("utf-8", "strict")) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" \t\r\n1 ", 1),
        ("-0.0", -0.0),
        ("1e400", float("inf")),
        ("-1E400", float("-inf")),
        ('{"a":1,"a":2}', {"a": 2}),
        (r'"\ud83c\udf4c"', "\U0001f34c"),
        (r'"\ud800"', "\ud800"),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ('"\x7f\u2028"', "\x7f\u2028"),
        ('"raw \ud800"', "raw \ufffd"),
    ],
)
def test_reading(text: str, value: Any) -> None:
    """What Go reads is read."""
    assert _json.loads(text) == value


def test_bytes_that_are_not_utf8_are_read_as_go_reads_them() -> None:
    """A byte that is not UTF-8 becomes U+FFFD."""
    assert _json.loads(b'"a\xffb"') == "a\ufffdb"


@pytest.mark.parametrize("text", ["[1]", " [1]", "[1] \r\n", "\t[1]\t"])
def test_white_space_around_a_value_is_left_out(text: str) -> None:
    """Whatever stands before and behind it is read, if it is white space to Go."""
    assert _json.loads(text) == [1]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", "document is not JSON: expecting value at character 0"),
        ("NaN", "document is not JSON: NaN is not a JSON value"),
        ("[Infinity]", "document is not JSON: Infinity is not a JSON value"),
        ('{"a":-Infinity}', "document is not JSON: -Infinity is not a JSON value"),
        ("\ufeff{}", "document is not JSON: expecting value at character 0"),
        (b"\xef\xbb\xbf{}", "document is not JSON: expecting value at character 0"),
        ("{} {}", "document is not JSON: extra data at character 3"),
        ('"a\nb"', "document is not JSON: invalid control character at at character 2"),
        ("[01]", "document is not JSON: expecting ',' delimiter at character 2"),
        ("{'a':1}", None),
        ("{", None),
        ('{"a"', None),
        ('{"a" 1}', None),
        ('{"a":', None),
        ('{"a":1', None),
        ('{"a":1,}', None),
        ('{"a":1 "b":2}', None),
        ('{"a":1} x', None),
        ("{,}", None),
        ("{1:2}", None),
        ("[1,]", None),
        ("\x0b1", None),
        ("1\x0b", None),
        ("\u00a01", None),
        ("1\u00a0", None),
        (" \n", None),
        ("1_000", None),
        ("0x10", None),
        (".5", None),
        ("+1", None),
        ("tru", None),
        ('"\\x41"', None),
        (b"\xff\xfe1\x00", None),
        ("9" * 5000, "document holds a number too long to be read here"),
        ("[" * 100_000, "document is nested too deeply to be read here"),
    ],
    ids=lambda value: None if value is None else str(value)[:40],
)
def test_what_go_does_not_read_is_refused(data: Any, expected: Any) -> None:
    """What is no JSON to Go, or too much for this interpreter, is refused, and not shown."""
    with pytest.raises(exc.SerializationError, match=expected and message(expected)) as caught:
        _json.loads(data)
    assert caught.value.__context__ is None
    with pytest.raises(exc.SerializationError, match=message(str(caught.value))):
        _json.loads_members(data)


def test_a_refusal_shows_no_text() -> None:
    """Neither the message nor what hangs on the error holds the text that was refused."""
    with pytest.raises(exc.SerializationError) as caught:
        _json.loads('{"password": "s3cr3t"')
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@quickly
@given(BYTES | DOCUMENT_BYTES)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Any bytes at all give a value or our error, and nothing hangs on the error."""
    try:
        _json.loads(data)
    except exc.SerializationError as error:
        assert error.__context__ is None


@quickly
@given(BYTES | DOCUMENT_BYTES)
def test_members_are_found_where_a_whole_read_finds_them(data: bytes) -> None:
    """The members of an object are what reading the whole text gives, and fail where it fails."""
    try:
        value = _json.loads(data)
    except exc.SerializationError as error:
        if re.search("too (deeply|long) to be read here", str(error)):
            return  # members are read all the same: the next test
        with pytest.raises(exc.SerializationError, match=message(str(error))):
            _json.loads_members(data)
        return
    if value is None or isinstance(value, dict):
        members = _json.loads_members(data)
        assert repr({name: member for name, member, _ in members}) == repr(value or {})
    else:
        with pytest.raises(exc.SerializationError, match="^document is a JSON "):
            _json.loads_members(data)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("[" * 9999 + "]" * 9999, "is nested too deeply to be read here"),
        ('{"a":[' + "9" * 100_000 + "]}", "holds a number too long to be read here"),
    ],
)
def test_members_beside_one_that_only_go_reads(value: str, reason: str) -> None:
    """A member that this interpreter can't decode hides none of the others."""
    found = _json.loads_members(f' {{"a" : {value} , "b\\u0000": [1]}} ')
    (name, undecoded, (start, end)), other = found
    if isinstance(undecoded, _json.Undecoded):  # an interpreter may have no such limit
        assert undecoded.reason == reason
    assert (name, end - start) == ("a", len(value))
    assert other[:2] == ("b\0", [1])


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10_000 + "]" * 10_000,
        "[" * 800 + "1" + "]" * 799 + "}",
        "[" * 800,
        "[" * 800 + "01" + "]" * 800,
        "[" * 800 + '"\x01"' + "]" * 800,
        "[" * 800 + "1,]" + "]" * 799,
        "[" * 800 + "NaN" + "]" * 800,
    ],
)
def test_members_that_go_does_not_read_either(text: str) -> None:
    """What only looks too deep for this interpreter is refused if it is no JSON to Go."""
    with pytest.raises(exc.SerializationError):
        _json.loads_members(f'{{"a":{text}}}')


def test_members_by_their_places() -> None:
    """The scan that decodes nothing finds what is there, and refuses commas without a value."""
    assert scan_members(" { } ", 1) == []
    assert scan_members('{"a":{},"":[[1]]}', 3) == [('"a"', (5, 7)), ('""', (11, 16))]
    for text in ("[1]", '{,"a":1}', '{"a":[,1]}', '{"a":1,}', '{"a":{,}}', '{"a":[[1]]}', "{}{"):
        with pytest.raises(ValueError, match="^$"):
            scan_members(text, 2)


@quickly
@given(st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=4), st.sampled_from([None, 0, 3]))
def test_a_member_stands_where_its_place_says(value: Any, indent: Any) -> None:
    """The text at a member's place is the member's, spaces and escapes apart."""
    text = json.dumps(value, indent=indent)
    for name, member, (start, end) in _json.loads_members(text):
        assert member == value[name]
        assert json.loads(text[start:end]) == member
        assert text[start:end].strip() == text[start:end]


def test_duplicate_members_are_all_there() -> None:
    """Members come in the order of the text, duplicates too."""
    members = _json.loads_members('{"a":1,"b":2,"a":1.0}')
    assert [(name, repr(value)) for name, value, _ in members] == [
        ("a", "1"), ("b", "2"), ("a", "1.0"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind"),
    [("[]", "array"), ('"x"', "string"), ("1.5", "number"), ("1", "number"), ("true", "boolean")],
)
def test_members_of_what_is_no_object(text: str, kind: str) -> None:
    """The message says what stands where an object should."""
    expected = f"job document is a JSON {kind}, not an object"
    with pytest.raises(exc.SerializationError, match=message(expected)):
        _json.loads_members(text, "job document")


def nested(depth: int) -> str:
    """Return arrays and objects inside each other, this many."""
    pairs, odd = divmod(depth, 2)
    return '[{"a":' * pairs + "[" * odd + "0" + "]" * odd + "}]" * pairs


def value_of_depth(depth: int) -> List[Any]:
    """Return lists inside each other, this many."""
    value: List[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.fixture(name="deep")
def with_a_deep_stack() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Run a function where the recursion limit lies far above what Go reads."""
    limit, size = sys.getrecursionlimit(), threading.stack_size(128 * 1024 * 1024)
    sys.setrecursionlimit(100_000)
    failures: List[BaseException] = []

    def call(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:
            failures.append(error)

    def run(function: Callable[[], None]) -> None:
        thread = threading.Thread(target=call, args=(function,))
        thread.start()
        thread.join(60)
        if failures:
            raise failures[0]

    yield run
    sys.setrecursionlimit(limit)
    threading.stack_size(size)


def succeeds(function: Callable[[Any], object], argument: Any) -> bool:
    """Whether a call meets no limit, of Go's or of the interpreter's."""
    try:
        function(argument)
    except (exc.SerializationError, RecursionError):
        return False
    return True


@pytest.mark.parametrize(
    "value", [value_of_depth(100_000), {"a": value_of_depth(MAX_NESTING)}],
    ids=["far too deep", "one too deep"],
)  # fmt: skip
def test_deep_values_are_refused(value: Any) -> None:
    """A value that is nested too deeply is refused under the usual recursion limit too."""
    expected = (
        f"payload is nested more than {max_levels()} levels deep, "
        "the most that can be written here "
        f"(two thirds of Python's recursion limit, {sys.getrecursionlimit()})"
    )
    with pytest.raises(exc.SerializationError, match=message(expected)):
        _json.dumps(value)


def test_a_deep_stack_writes_nothing_that_go_refuses(
    deep: Callable[[Callable[[], None]], None],
) -> None:
    """However deep the stack, a payload is written only if Go reads it inside its document."""

    def check() -> None:
        assert succeeds(_json.dumps, value_of_depth(1_000))
        # CPython 3.12 stops its own json at about 1,500 levels, whatever the recursion limit.
        able = succeeds(json.dumps, value_of_depth(5_000))
        assert succeeds(_json.dumps, value_of_depth(5_000)) == able
        for depth in (MAX_NESTING, MAX_NESTING + 1, 30_000):
            assert not succeeds(_json.dumps, value_of_depth(depth))

    deep(check)


def test_a_deep_stack_reads_nothing_that_go_refuses(
    deep: Callable[[Callable[[], None]], None],
) -> None:
    """However deep the stack, what Go refuses is not read; it would be written on."""

    def check() -> None:
        assert succeeds(_json.loads, nested(1_000))
        able = succeeds(json.loads, nested(5_000))  # not on CPython 3.12: see above
        assert succeeds(_json.loads, nested(5_000)) == able
        for depth in (MAX_NESTING + 1, MAX_NESTING + 2, 30_001):
            assert not succeeds(_json.loads, nested(depth))
            assert not succeeds(_json.loads_members, f'{{"payload":{nested(depth - 1)}}}')

    deep(check)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(["[[{" * 10_000, '\\"[' * 10_000]),
        json.dumps([{"a": [{}]}] * 20_000),
        json.dumps([{"a]}": "[{\\"}] * 20_000),
    ],
    ids=["in strings", "side by side", "both"],
)
def test_many_brackets_are_not_deep(text: str) -> None:
    """Brackets in strings, or side by side, do not count as nesting."""
    assert _json.dumps(_json.loads(text)) == _json.dumps(json.loads(text))


def test_depth_is_exact() -> None:
    """The count of levels is right at the limit, wherever in a long text the deep part stands."""
    limit = max_levels() + 1

    def verdict(text: str) -> bool:
        try:
            _json._check_depth(text)
        except RecursionError:
            return False
        return True

    for before in ("", "[1]," * 5_000, '"]]]]",' * 5_000, '{"a":[]},' * 3_333):
        assert verdict(f"[{before}{nested(limit - 1)}]")
        assert not verdict(f"[{before}{nested(limit)}]")
        deepest, deeper = "[0],[0]", "[0],[[0]]"
        opening, closing = f"[{before}" + "[" * (limit - 2), "]" * (limit - 1)
        assert verdict(opening + deepest + closing)
        assert not verdict(opening + deeper + closing)


def test_an_unclosed_string_costs_no_more_than_any_other() -> None:
    """A text of nothing but openings and escapes is refused in one pass."""
    steps: List[Tuple[int, int]] = []
    for text in ("[" * 10_001 + '"' + '\\"' * 200_000, "[" * 10_001 + '"' * 200_001):
        with pytest.raises(exc.SerializationError):
            _json.loads(text)
        steps.append((len(text), len(re.sub(_json._STRING, "", text))))
    assert [left for _, left in steps] == [10_001, 10_001]
