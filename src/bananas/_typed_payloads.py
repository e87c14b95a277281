"""Conversion of a typed payload to the JSON value that is sent for it."""

from __future__ import annotations

import dataclasses
import enum
import typing
import uuid
from datetime import datetime
from typing import Any, List, Mapping

from . import exceptions as exc
from ._argument_checks import kind_of
from ._typed_results import convert, model_problems
from ._wire import format_timestamp

__all__ = ["json_value"]


def json_value(payload: Any, payload_type: Any, what: str, root: str = "payload") -> Any:
    """Return the JSON value of a payload or a result, checked against its type at every depth.

    Args:
        payload: A dataclass, a TypedDict's dict, a pydantic model, or anything that these are made
            of.
        payload_type: Its type; ``Any`` checks nothing.
        what: What the payload belongs to, for messages.
        root: What the value itself is called in them.

    Raises:
        SerializationError: The payload does not fit; the message says where, and shows no value.
        TypeError: The type is none that can be checked.
    """
    origin = typing.get_origin(payload_type) or payload_type
    is_class = isinstance(origin, type) and _is_structure(origin)
    if is_class and not isinstance(payload, origin):
        raise exc.SerializationError(
            f"{what}: {root} is not {_article(_name(origin))} but {_article(kind_of(payload))}"
        )
    try:
        value = _plain(payload, root, what)
    except RecursionError:
        problem = f"{what}: {root} is nested too deeply, or refers to itself"
        raise exc.SerializationError(problem) from None
    if not (is_class and _is_model(payload)):  # which has checked itself
        convert(value, payload_type, what, root)
    return value


def _is_structure(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or hasattr(kind, "model_dump")


def _is_model(value: Any) -> bool:
    return hasattr(type(value), "model_dump")


def _name(kind: type) -> str:
    return kind.__qualname__.split("<locals>.")[-1]


def _article(name: str) -> str:
    return f"an {name}" if name[:1] in "aeiouAEIOU" else f"a {name}"


def _plain(value: Any, path: str, what: str) -> Any:
    kind = type(value)
    if _is_model(value):
        return _of_model(value, path, what)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
        return _members({name: getattr(value, name) for name in names}, path, what)
    if isinstance(value, enum.Enum):
        return _plain(value.value, path, what)
    if isinstance(value, datetime):
        try:
            return format_timestamp(value, path)
        except ValueError as error:
            raise exc.SerializationError(f"{what}: {error}") from None
    if kind is uuid.UUID:
        return str(value)
    if isinstance(value, dict):
        return _members(value, path, what)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, f"{path}[{at}]", what) for at, item in enumerate(value)]
    return value


def _members(value: Mapping[Any, Any], path: str, what: str) -> Any:
    return {key: _plain(item, f"{path}.{key}", what) for key, item in value.items()}


def _of_model(value: Any, path: str, what: str) -> Any:
    try:
        # A field that was assigned a wrong value is refused here, and not by the model itself.
        return value.model_dump(mode="json", by_alias=True, warnings="error")
    except ValueError as error:
        problems: List[str] = model_problems(type(value), dict(value), path)
        reason = "; ".join(problems) or f"{path} is refused by {_name(type(value))} itself"
        # Not from it: pydantic's own text shows the values.
        del error
    raise exc.SerializationError(f"{what}: {reason}")
