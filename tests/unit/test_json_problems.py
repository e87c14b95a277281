"""What JSON can't carry is refused with its place and with what to pass instead."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import ipaddress
import pathlib
import uuid
from collections import OrderedDict, UserDict, deque
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Callable, Dict, List, Type

import pydantic
import pytest

from bananas import exceptions as exc
from bananas._wire import json as _json
from tests.unit.lazy import Lazy


class Color(enum.Enum):
    RED = "red"


class Plain(enum.IntEnum):
    ONE = 1


@dataclasses.dataclass
class Item:
    price: float = 1.5


class Model(pydantic.BaseModel):
    price: float = 1.5


class Attrs:
    __attrs_attrs__ = ()


async def coroutine() -> None: ...


def numpy_class(name: str, *bases: Type[Any]) -> Type[Any]:
    """Return a class like one of NumPy's, which need not be installed."""
    return type(name, bases, {"__module__": "numpy"})


GENERIC = numpy_class("generic", object)

REMEDIES: List[Any] = [
    (datetime(2025, 1, 1), "datetime", "pass value.isoformat()"),
    (date(2025, 1, 1), "date", "pass value.isoformat()"),
    (time(1), "time", "pass value.isoformat()"),
    (timedelta(1), "timedelta", "pass value.total_seconds()"),
    (uuid.UUID(int=1), "UUID", "pass str(value)"),
    (Decimal("1.10"), "Decimal", "pass str(value), which keeps every digit"),
    (Fraction(1, 3), "Fraction", "pass str(value)"),
    (pathlib.PurePosixPath("/etc"), "PurePosixPath", "pass str(value)"),
    (ipaddress.ip_address("127.0.0.1"), "IPv4Address", "pass str(value)"),
    (Color.RED, "Color", "pass value.value"),
    (Item(), "Item", "pass dataclasses.asdict(value)"),
    (Item, "type", "pass a value, not a class"),
    (Model(), "Model", 'pass value.model_dump(mode="json")'),
    (Attrs(), "Attrs", "pass attrs.asdict(value)"),
    (b"x", "bytes", "pass value.decode(), or base64.b64encode(value).decode()"),
    ({1}, "set", "pass sorted(value) or list(value)"),
    (range(3), "range", "pass list(value)"),
    (deque([1]), "deque", "pass list(value)"),
    ({}.keys(), "dict_keys", "pass list(value)"),
    (UserDict(), "UserDict", "pass dict(value)"),
    (ValueError("x"), "ValueError", "pass str(value)"),
    (object(), "object", "convert it first; a client's json_default does that for every submit"),
    (GENERIC(), "numpy.generic", "pass value.item()"),
    (numpy_class("int64", GENERIC)(), "numpy.int64", "pass value.item()"),
    (numpy_class("float64", GENERIC, float)(1.5), "numpy.float64", "pass value.item()"),
    (numpy_class("bool", GENERIC)(), "numpy.bool", "pass value.item()"),
    (Lazy({"id": 1}), "Lazy", "it stands for another value: pass that value"),
    (Lazy([1]), "Lazy", "it stands for another value: pass that value"),
    (Lazy("a"), "Lazy", "it stands for another value: pass that value"),
    (Lazy(1), "Lazy", "it stands for another value: pass that value"),
    (Lazy(1.5), "Lazy", "it stands for another value: pass that value"),
]


@pytest.fixture(params=["installed", "absent"], autouse=True)
def _orjson(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check with orjson and without."""
    if request.param == "absent":
        monkeypatch.setattr(_json, "_fast", None)


@pytest.mark.parametrize(("value", "kind", "remedy"), REMEDIES, ids=range(len(REMEDIES)))
@pytest.mark.parametrize("place", ["payload", "payload.a[0]"])
def test_remedy(value: Any, kind: str, remedy: str, place: str) -> None:
    """A refusal names the place, the type and what to pass instead, wherever the value stands."""
    payload = value if place == "payload" else {"a": [value]}
    with pytest.raises(exc.SerializationError) as caught:
        _json.dumps(payload)
    assert str(caught.value) == f"{place} is of type {kind}, which JSON has no form for: {remedy}"


def test_forgotten_await() -> None:
    """A coroutine was meant to be awaited."""
    forgotten = coroutine()
    with pytest.raises(exc.SerializationError, match=r"of type coroutine.*: is an await missing\?"):
        _json.dumps({"user": forgotten})
    asyncio.run(forgotten)


# -- json_default --------------------------------------------------------------------------------


def default(value: Any) -> Any:
    """Convert what the tests' users have in their payloads."""
    table: Dict[Type[Any], Callable[[Any], Any]] = {
        datetime: datetime.isoformat,
        Decimal: str,
        set: sorted,
        Item: dataclasses.asdict,
        Color: lambda color: {"color": color.value, "since": datetime(2025, 1, 1)},
    }
    if type(value).__module__ == "numpy":
        return float(value)
    if type(value) not in table:
        raise TypeError(f"{value!r} is not JSON serializable")
    return table[type(value)](value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2025, 1, 1), '"2025-01-01T00:00:00"'),
        ({"a": [Decimal("1.10"), {3, 1, 2}]}, '{"a":["1.10",[1,2,3]]}'),
        ((Item(),), '[{"price":1.5}]'),
        (Color.RED, '{"color":"red","since":"2025-01-01T00:00:00"}'),
        (OrderedDict(a=Plain.ONE), '{"a":1}'),
        ([numpy_class("float64", GENERIC, float)(1.5)], "[1.5]"),
        ([numpy_class("str_", GENERIC, str)("text")], '["text"]'),
        (12345678901234567890123, "12345678901234567890123"),
    ],
)
def test_default_converts(value: Any, text: str) -> None:
    """What JSON has no form for is replaced, also in what the function returns."""
    assert _json.dumps(value, "payload", default).decode() == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [{"b c": object()}]},
         "payload.a[0]['b c'] is of type object, which JSON has no form for: convert it first; "
         "a client's json_default does that for every submit (json_default does not convert it)"),
        ({"a": {1: Item()}},
         "payload.a has a key of type int; JSON keys are strings: pass str(key)"),
        ([{float("nan")}],
         "payload[0][0] is not a finite number; JSON has no NaN or Infinity: "
         "pass None or a string"),
        ([Item("\ud800")], "payload[0].price contains a lone surrogate at position 0, not UTF-8"),
    ],
)  # fmt: skip
def test_default_is_checked(value: Any, expected: str) -> None:
    """What the function returns is checked like any payload."""
    with pytest.raises(exc.SerializationError) as caught:
        _json.dumps(value, "payload", default)
    assert str(caught.value) == expected
    assert isinstance(caught.value.__cause__, (TypeError, type(None)))


@pytest.mark.parametrize("endless", [lambda value: [value], lambda value: object()])
def test_default_that_never_ends(endless: Callable[[Any], Any]) -> None:
    """A function that never returns a JSON value ends in a refusal."""
    with pytest.raises(exc.SerializationError, match="json_default never returns a JSON value"):
        _json.dumps({"a": object()}, "payload", endless)


def test_default_that_gives_back_what_it_was_given() -> None:
    """A function that returns the very value has not converted it."""
    with pytest.raises(exc.SerializationError, match=r"of type object.*does not convert it\)$"):
        _json.dumps([object()], "payload", lambda value: value)


def test_the_place_of_what_never_ends_is_cut() -> None:
    """Where the value leads nowhere, its place is shown as far as it can be read."""
    with pytest.raises(exc.SerializationError, match=r"^payload(\[0\]){16}\[0\.\.\. is nested too"):
        _json.dumps(object(), "payload", lambda value: [value])


class Endless(Dict[str, Any]):
    """Has one member, which is always another one of its kind."""

    def items(self) -> Any:
        """Return the member."""
        return [("a", Endless())]

    def values(self) -> Any:
        """Return it without its name."""
        return [Endless()]


def test_mapping_without_an_end() -> None:
    """An object that makes its members as they are asked for is gone through to a limit."""
    with pytest.raises(exc.SerializationError, match="^payload is nested more than"):
        _json.dumps(Endless(a=1))


def test_error_of_the_default_passes() -> None:
    """An error in the function is the caller's, and passes unchanged."""

    def broken(value: Any) -> Any:
        raise KeyError("user")

    with pytest.raises(KeyError, match="user"):
        _json.dumps([object()], "payload", broken)


def test_the_error_of_json_default_is_kept() -> None:
    """Whoever reads the traceback sees what the caller's own function said."""

    def refuse(value: Any) -> Any:
        raise TypeError("no rule for this one")

    with pytest.raises(exc.SerializationError) as caught:
        _json.dumps({"a": object()}, "payload", refuse)
    assert str(caught.value.__cause__) == "no rule for this one"
