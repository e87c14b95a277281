"""Conversion of JSON values to the types that callers expect."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import re
import sys
import typing
import uuid
from datetime import datetime, timedelta, timezone
from typing import (
    AbstractSet,
    Any,
    ClassVar,
    Dict,
    FrozenSet,
    Generic,
    List,
    Literal,
    Mapping,
    MutableMapping,
    NewType,
    Optional,
    Sequence,
    Set,
    Tuple,
    TypeVar,
    Union,
)

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bananas import exceptions as exc
from bananas._typed_results import convert
from tests.unit.strategies import JSON_VALUES, quickly

if sys.version_info >= (3, 11):
    from typing import Annotated, NotRequired, Required, TypedDict
else:
    from typing_extensions import Annotated, NotRequired, Required, TypedDict

SECRET = "s3cr3t"
UTC = timezone.utc


def message(text: str) -> str:
    """Return a pattern that matches this message and no other."""
    return f"^{re.escape(text)}$"


class Color(enum.Enum):
    """An enum of words."""

    RED = "red"
    CRIMSON = "red"  # noqa: PIE796
    BLUE = "blue"


class Level(enum.IntEnum):
    """An enum of numbers."""

    ZERO = 0
    ONE = 1


@dataclasses.dataclass
class Item:
    """A dataclass that has defaults."""

    price: float
    tags: List[str] = dataclasses.field(default_factory=list)
    color: Optional[Color] = None
    kind: ClassVar[str] = "item"


@dataclasses.dataclass(frozen=True)
class Order:
    """A dataclass of dataclasses, and of itself."""

    id: uuid.UUID
    items: List[Item]
    by_name: Dict[str, Item] = dataclasses.field(default_factory=dict)
    parent: Optional[Order] = None
    total: float = dataclasses.field(init=False, default=-1.0)


@dataclasses.dataclass
class Positive:
    """A dataclass that checks what it is given."""

    number: int

    def __post_init__(self) -> None:
        if self.number <= 0:
            raise ValueError(f"{self.number} is not positive")


@dataclasses.dataclass
class Broken:
    """A dataclass with an annotation that names nothing."""

    value: Nothing  # type: ignore[name-defined] # noqa: F821


class Point(TypedDict):
    """A TypedDict of which one field may be absent."""

    x: int
    y: int
    label: NotRequired[str]


class Options(TypedDict, total=False):
    """A TypedDict of which one field must be there."""

    name: Required[str]
    size: Optional[int]


class Plain(typing.TypedDict):
    """The standard library's own, on every Python."""

    x: int


class Loose(typing.TypedDict, total=False):
    """The standard library's own, of which nothing must be there."""

    x: int


class Model(pydantic.BaseModel):
    """A pydantic model."""

    number: int
    items: List[Dict[str, float]] = []
    choice: Literal["a", "b"] = "a"


class Even(pydantic.BaseModel):
    """A pydantic model with a check of its own."""

    number: int

    @pydantic.field_validator("number")
    @classmethod
    def check(cls, number: int) -> int:
        """Refuse odd numbers, and say which."""
        if number % 2:
            raise ValueError(f"{number} is odd: {SECRET}")
        return number


T = TypeVar("T")


@dataclasses.dataclass
class Page(Generic[T]):
    """A generic dataclass."""

    number: int


UserId = NewType("UserId", int)
Url = NewType("Url", str)

ACCEPTED: List[Tuple[Any, Any, Any]] = [
    (None, None, None),
    (None, type(None), None),
    ({"a": [1]}, Any, {"a": [1]}),
    ([1, "a"], object, [1, "a"]),
    (True, bool, True),
    (1, int, 1),
    (2**80, int, 2**80),
    (1.5, float, 1.5),
    (1, float, 1.0),
    ("", str, ""),
    ([1, "a", None], list, [1, "a", None]),
    ([1, 2], List[int], [1, 2]),
    ([1, 2], Sequence[float], [1.0, 2.0]),
    ([], typing.MutableSequence[str], []),
    ([1], List, [1]),
    ([1, 2], collections.abc.Sequence, [1, 2]),
    ([1, "a"], Tuple[int, str], (1, "a")),
    ([1, 2, 3], Tuple[int, ...], (1, 2, 3)),
    ([], Tuple[()], ()),
    ([1, "a"], tuple, (1, "a")),
    ([1, "a"], Tuple, (1, "a")),
    ({"a": 1}, dict, {"a": 1}),
    ({"a": 1}, Dict, {"a": 1}),
    ({"a": 1}, Dict[str, float], {"a": 1.0}),
    ({"a": 1}, Mapping[str, Any], {"a": 1}),
    ({"a": 1}, MutableMapping[Url, int], {"a": 1}),
    ([1, 1], Set[int], {1}),
    ([1, 1], set, {1}),
    ([1, 1], AbstractSet[int], {1}),
    (["a"], FrozenSet[str], frozenset({"a"})),
    (["a"], frozenset, frozenset({"a"})),
    (None, Optional[int], None),
    (1, Optional[int], 1),
    ("a", Union[int, str], "a"),
    (1, Union[float, int], 1),
    (1, Union[str, float], 1.0),
    (None, Union[int, str, None], None),
    ([{"a": None}], List[Dict[str, Optional[int]]], [{"a": None}]),
    ("a", Literal["a", "b", 1], "a"),
    (1, Literal["a", 1], 1),
    (None, Literal["a", None], None),
    ("red", Literal[Color.RED], Color.RED),
    ("red", Color, Color.RED),
    (1, Level, Level.ONE),
    ("2025-01-15T16:00:05+05:30", datetime, datetime(2025, 1, 15, 10, 30, 5, tzinfo=UTC)),
    (
        "00000000-0000-4000-8000-00000000000A",
        uuid.UUID,
        uuid.UUID("00000000-0000-4000-8000-00000000000a"),
    ),
    (7, UserId, 7),
    ([7], List[UserId], [7]),
    (7, Annotated[int, "kilograms"], 7),
    ({"price": 1}, Item, Item(1.0)),
    ({"price": 1, "unknown": SECRET, "kind": 5}, Item, Item(1.0)),
    ({"price": 1, "tags": ["a"], "color": "blue"}, Item, Item(1.0, ["a"], Color.BLUE)),
    ({"number": 1}, Positive, Positive(1)),
    ({"number": 1}, Page[int], Page(1)),
    ({"x": 1, "y": 2, "z": 3}, Point, {"x": 1, "y": 2}),
    ({"x": 1, "y": 2, "label": "a"}, Point, {"x": 1, "y": 2, "label": "a"}),
    ({"name": "a"}, Options, {"name": "a"}),
    ({"name": "a", "size": None}, Options, {"name": "a", "size": None}),
    ({"x": 1}, Plain, {"x": 1}),
    ({}, Loose, {}),
    ({"number": 1, "items": [{"a": 2}]}, Model, Model(number=1, items=[{"a": 2.0}])),
    ({"price": 1}, Union[Point, Item], Item(1.0)),
]
if sys.version_info >= (3, 10):
    ACCEPTED += [
        (None, int | None, None),
        ("a", int | str, "a"),
        ([1], list[int | None], [1]),
        ({"a": (1,)}, dict[str, tuple[int, ...]], {"a": (1,)}),
    ]
if sys.version_info >= (3, 12):
    ACCEPTED += [([1], typing.TypeAliasType("Numbers", List[float]), [1.0])]


@pytest.mark.parametrize(("value", "target", "expected"), ACCEPTED)
def test_what_fits(value: Any, target: Any, expected: Any) -> None:
    """A value that fits becomes a value of the type."""
    converted = convert(value, target, "result of job a")
    assert converted == expected
    assert type(converted) is type(expected)


REFUSED: List[Tuple[Any, Any, str]] = [
    (0, None, "result is not None but a number"),
    (None, int, "result is not an int but null"),
    (1, bool, "result is not a bool but a number"),
    (True, int, "result is not an int but a boolean"),
    (True, float, "result is not a float but a boolean"),
    (1.0, int, "result is not an int but a fractional number"),
    ("1", float, "result is not a float but a string"),
    (10**400, float, "result is a number that is too large for a float"),
    (1, str, "result is not a str but a number"),
    ([SECRET], str, "result is not a str but an array"),
    ({SECRET: 1}, List[int], "result is not a List[int] but an object"),
    (SECRET, List[str], "result is not a List[str] but a string"),
    (SECRET, list, "result is not a list but a string"),
    ([1, SECRET], List[int], "result[1] is not an int but a string"),
    ([[0], [0, None]], List[List[int]], "result[1][1] is not an int but null"),
    ([1], Tuple[int, str], "result is an array of 1 items, not 2"),
    ([1], Tuple[()], "result is an array of 1 items, not 0"),
    ([1, 2], Tuple[int, str], "result[1] is not a str but a number"),
    ([1, SECRET], Tuple[int, ...], "result[1] is not an int but a string"),
    ({}, Tuple[int, ...], "result is not a Tuple[int, ...] but an object"),
    ([1], Dict[str, int], "result is not a Dict[str, int] but an array"),
    ({"a": SECRET}, Dict[str, int], "result.a is not an int but a string"),
    ({"a b": SECRET}, Dict[str, int], "result['a b'] is not an int but a string"),
    ([[1]], Set[Any], "result contains items that can't be in a set"),
    ([SECRET], FrozenSet[int], "result[0] is not an int but a string"),
    (SECRET, Optional[int], "result is not an int but a string"),
    (SECRET, Union[int, List[int], None],
     "result is a string that matches none of int, List[int], None"),
    ([SECRET], Union[Item, Point], "result is an array that matches none of Item, Point"),
    (SECRET, Literal["a", 1], "result is a string that is not one of 'a', 1"),
    (True, Literal[1], "result is a boolean that is not one of 1"),
    (SECRET, Color, "result is a string that is not a value of Color"),
    (True, Level, "result is a boolean that is not a value of Level"),
    (1.0, Level, "result is a fractional number that is not a value of Level"),
    (SECRET, datetime, "result is a string that is not a strict RFC 3339 time"),
    ("2025-01-15T10:30:00", datetime, "result is a string that is not a strict RFC 3339 time"),
    (1736937000, datetime, "result is not a datetime but a number"),
    (SECRET, uuid.UUID, "result is a string that is not a UUID"),
    ("{00000000-0000-4000-8000-000000000000}", uuid.UUID, "result is a string that is not a UUID"),
    ("00000000000040008000000000000000", uuid.UUID, "result is a string that is not a UUID"),
    (1, uuid.UUID, "result is not a UUID but a number"),
    (SECRET, UserId, "result is not an int but a string"),
    (SECRET, Item, "result is not an Item but a string"),
    ({}, Item, "result has no field 'price', which Item needs"),
    ({"price": SECRET}, Item, "result.price is not a float but a string"),
    ({"price": 1, "tags": ["a", 1]}, Item, "result.tags[1] is not a str but a number"),
    ({"price": 1, "color": SECRET}, Item, "result.color is a string that is not a value of Color"),
    ({"number": -1}, Positive, "result is refused by Positive itself"),
    ([], Point, "result is not a Point but an array"),
    ({"x": 1}, Point, "result has no field 'y', which Point needs"),
    ({"x": 1, "y": SECRET}, Point, "result.y is not an int but a string"),
    ({"x": 1, "y": 2, "label": 3}, Point, "result.label is not a str but a number"),
    ({"size": 1}, Options, "result has no field 'name', which Options needs"),
    ({}, Plain, "result has no field 'x', which Plain needs"),
    ({"x": SECRET}, Loose, "result.x is not an int but a string"),
    ({"number": SECRET}, Model, "result.number should be a valid integer"),
    ({}, Model, "result.number is missing"),
    ({"number": 1, "items": [{"a b": SECRET}], "choice": SECRET}, Model,
     "result.items[0]['a b'] should be a valid number; result.choice should be 'a' or 'b'"),
    ({"number": 1, "items": [SECRET] * 9}, Model,
     "; ".join(f"result.items[{at}] should be a valid dictionary" for at in range(5))
     + "; and 4 more"),
    ({"number": 1}, Even, "result.number is refused by a validator of the model"),
    ({"a": {"number": 1}}, Dict[str, Even],
     "result.a.number is refused by a validator of the model"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "target", "expected"), REFUSED)
def test_what_does_not_fit(value: Any, target: Any, expected: str) -> None:
    """A refusal says where the value does not fit, and never what it is."""
    with pytest.raises(exc.SerializationError) as caught:
        convert(value, target, "result of job a")
    assert str(caught.value) == f"result of job a: {expected}"
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


SUPPORTED = (
    "None, bool, int, float, str, list, tuple, dict with str keys, set, Optional, Union, Literal, "
    "enums, datetime, UUID, dataclasses, TypedDicts, NewTypes and pydantic models"
)


class Stranger:
    """A class that is none of what can be converted to."""


@pytest.mark.parametrize(
    ("value", "target", "name"),
    [
        ({}, Stranger, "Stranger"),
        ("a", bytes, "bytes"),
        ("PT1S", timedelta, "timedelta"),
        (1, complex, "complex"),
        ([1], [int], "[<class 'int'>]"),
        (1, "int", "int"),
        (1, T, "~T"),
        (1, typing.Callable[[int], int], "Callable"),
        ([{}], List[Stranger], "Stranger"),
        ({}, Union[int, Stranger], "Stranger"),
        ({}, type(exc.BananasError), "type"),
    ],
)
def test_types_that_nothing_converts_to(value: Any, target: Any, name: str) -> None:
    """Another type is the caller's mistake; the message names it, and says what there is."""
    expected = f"can't convert to {name}; what can be is {SUPPORTED}"
    with pytest.raises(TypeError, match=message(expected)):
        convert(value, target, "result of job a")


def test_keys_are_strings() -> None:
    """A dict whose keys are no strings is the caller's mistake."""
    expected = "can't convert to Dict[int, str]: the keys of JSON objects are strings"
    with pytest.raises(TypeError, match=message(expected)):
        convert({"1": "a"}, Dict[int, str], "result of job a")


def test_annotations_that_name_nothing() -> None:
    """An annotation that can't be resolved is the caller's mistake."""
    expected = "can't resolve the annotations of Broken: name 'Nothing' is not defined"
    with pytest.raises(TypeError, match=message(expected)):
        convert({"value": 1}, Broken, "result of job a")


def test_a_tree_of_dataclasses() -> None:
    """Dataclasses in lists, dicts and themselves are built, and fields without init are left."""
    order = {
        "id": "00000000-0000-4000-8000-000000000001",
        "items": [{"price": 1, "color": "red"}],
        "by_name": {"a": {"price": 2.5}},
        "parent": {"id": "00000000-0000-4000-8000-000000000002", "items": [], "total": 7},
        "total": SECRET,
    }
    converted = convert(order, Order, "result")
    assert converted == Order(
        uuid.UUID("00000000-0000-4000-8000-000000000001"),
        [Item(1.0, color=Color.RED)],
        {"a": Item(2.5)},
        Order(uuid.UUID("00000000-0000-4000-8000-000000000002"), []),
    )
    assert converted.total == converted.parent.total == -1.0


def test_where_a_tree_does_not_fit() -> None:
    """The path leads through attributes, indices and keys."""
    order = {
        "id": "00000000-0000-4000-8000-000000000001",
        "items": [],
        "parent": {
            "id": "00000000-0000-4000-8000-000000000002",
            "items": [{"price": 1}, {"price": 2}, {"price": SECRET}],
        },
    }
    expected = "result of job a: result.parent.items[2].price is not a float but a string"
    with pytest.raises(exc.SerializationError, match=message(expected)):
        convert(order, Order, "result of job a")


def test_a_long_path_is_cut_in_the_middle() -> None:
    """A path through long keys stays readable."""
    deep: Any = 1
    target: Any = str
    for _ in range(50):
        deep, target = {"k" * 40: deep}, Dict[str, target]
    with pytest.raises(exc.SerializationError) as caught:
        convert(deep, target, "result")
    assert len(str(caught.value)) < 260
    assert str(caught.value).endswith("kkk is not a str but a number")


def test_a_deep_value_is_refused() -> None:
    """A value nested more deeply than this interpreter can follow is refused."""
    deep: Dict[str, Any] = {"id": "00000000-0000-4000-8000-000000000001", "items": []}
    for _ in range(5_000):
        deep = {"id": "00000000-0000-4000-8000-000000000001", "items": [], "parent": deep}
    expected = "result of job a: result is nested too deeply to be converted here"
    with pytest.raises(exc.SerializationError, match=message(expected)):
        convert(deep, Order, "result of job a")


def test_an_error_in_the_callers_class_is_not_hidden() -> None:
    """What a class raises that is no ValueError is a bug in it, and comes through."""

    class Buggy(Positive):
        def __post_init__(self) -> None:
            raise KeyError(self.number)

    with pytest.raises(KeyError):
        convert({"number": 1}, Buggy, "result")


TARGETS = [target for _, target, _ in ACCEPTED + REFUSED]


@quickly
@given(JSON_VALUES, st.sampled_from(range(len(TARGETS))))
def test_any_value_fits_or_is_refused(value: Any, index: int) -> None:
    """Any JSON value becomes any type, or is refused with our error."""
    try:
        convert(value, TARGETS[index], "result of job a")
    except exc.SerializationError as error:
        assert str(error).startswith("result of job a: result")
        assert error.__context__ is None


SECRETS: st.SearchStrategy[Any] = st.recursive(
    st.just(SECRET) | st.integers(7_770, 7_779),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["price", "x", "y", "id", "items", "number", "tags"]), inner, max_size=4
        )
    ),
    max_leaves=6,
)


@quickly
@given(SECRETS, st.sampled_from(range(len(TARGETS))))
def test_no_refusal_shows_a_value(value: Any, index: int) -> None:
    """Whatever the value and the type, a message holds no part of the value."""
    try:
        convert(value, TARGETS[index], "result of job a")
    except exc.SerializationError as error:
        assert SECRET not in str(error)
        assert "777" not in str(error)
