"""Conversion of a decoded JSON value to the type that the caller expects."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import sys
import types
import typing
import uuid
from datetime import datetime
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Literal,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from . import exceptions as exc
from ._pydantic_errors import sentence
from ._wire import parse_timestamp

__all__ = ["convert", "model_problems"]

_NoneType = type(None)
_SCALARS: Dict[Any, Tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    float: (int, float),
    str: (str,),
    _NoneType: (_NoneType,),
}
_KINDS: Tuple[Tuple[Any, str], ...] = (
    (_NoneType, "null"),
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a fractional number"),
    (str, "a string"),
    ((list, tuple), "an array"),
    (dict, "an object"),
    (object, "no JSON value"),
)
_LISTS = {list, collections.abc.Sequence, collections.abc.MutableSequence}
_SETS = {set, frozenset, collections.abc.Set, collections.abc.MutableSet}
_DICTS = {dict, collections.abc.Mapping, collections.abc.MutableMapping}
# PEP 604 unions have a type of their own from 3.10 on, until 3.14 makes the two one.
_UNIONS = (Union, getattr(types, "UnionType", Union))
_QUALIFIERS = {"Final", "NotRequired", "ReadOnly", "Required"}
_SUPPORTED = (
    "None, bool, int, float, str, list, tuple, dict with str keys, set, Optional, Union, Literal, "
    "enums, datetime, UUID, dataclasses, TypedDicts, NewTypes and pydantic models"
)


class _Misfit(Exception):
    """Says where a value does not fit its type, and never what it is."""


def convert(
    value: Any, target: Any, what: str, root: str = "result", *, job_id: Optional[str] = None
) -> Any:
    """Return a decoded JSON value as a type, checked at every depth.

    A Union takes the first of its members that fits, but a whole number stays one where ``int`` is
    a member. Fields that a dataclass or TypedDict does not have are ignored.

    Args:
        value: What a JSON decoder returned.
        target: The type; ``Any`` returns the value as it is.
        what: What the value belongs to, for messages.
        root: What the value itself is called in them.
        job_id: The job that the error is about.

    Raises:
        SerializationError: The value does not fit; the message says where, and shows no value.
        TypeError: The type, or one that it is made of, is none that can be converted to.
    """
    try:
        return _convert(value, target, root)
    except _Misfit as misfit:
        problem = str(misfit)
    except RecursionError:
        problem = f"{root} is nested too deeply to be converted here"
    raise exc.SerializationError(f"{what}: {problem}", job_id=job_id)


def model_problems(model: Any, fields: Dict[str, Any], path: str) -> List[str]:
    """Return in words, with their places, what a pydantic model refuses of its fields."""
    try:
        model.model_validate(fields)
    except ValueError as error:
        find = getattr(error, "errors", None)
        return [] if find is None else _problems(find(), path)
    return []


def _convert(value: Any, target: Any, path: str) -> Any:
    target = _NoneType if target is None else _unwrapped(target)
    if target is Any or target is object:
        return value
    args = typing.get_args(target)
    origin = _origin(target)
    if origin in _UNIONS:
        return _union(value, args, path)
    if origin is Literal:
        return _literal(value, args, path)
    if not isinstance(origin, type):
        _unsupported(target)
    if origin in _SCALARS:
        return _scalar(value, origin, path)
    if origin in _LISTS:
        return _items(value, target, args[0] if args else Any, path)
    if origin is tuple:
        return _tuple(value, target, args, path)
    if origin in _SETS:
        return _set(value, target, args[0] if args else Any, path)
    if origin in _DICTS:
        return _dict(value, target, args or (str, Any), path)
    return _of_class(value, origin, path)


def _of_class(value: Any, target: Any, path: str) -> Any:
    if issubclass(target, enum.Enum):
        return _enum(value, target, path)
    if target is datetime or target is uuid.UUID:
        return _from_text(value, target, path)
    if hasattr(target, "model_validate"):
        return _construct(target, lambda: target.model_validate(value), path)
    if dataclasses.is_dataclass(target):
        return _dataclass(value, target, path)
    if issubclass(target, dict) and hasattr(target, "__total__"):
        return _typed_dict(value, target, path)
    _unsupported(target)


def _unwrapped(target: Any) -> Any:
    """Take off what says nothing of the value's form: NewType, Annotated, Final, an alias."""
    while True:
        if hasattr(target, "__supertype__"):
            target = target.__supertype__
        elif hasattr(target, "__metadata__"):
            target = target.__origin__
        elif type(target).__name__ == "TypeAliasType":
            target = target.__value__
        elif _qualifier(target):
            target = typing.get_args(target)[0]
        else:
            return target


def _origin(target: Any) -> Any:
    return typing.get_origin(target) or target


def _qualifier(target: Any) -> str:
    name = str(getattr(typing.get_origin(target), "_name", ""))
    return name if name in _QUALIFIERS else ""


def _union(value: Any, members: Tuple[Any, ...], path: str) -> Any:
    if value is None and _NoneType in members:
        return None
    if type(value) is int and int in members:
        return value
    rest = [member for member in members if member is not _NoneType]
    if len(rest) == 1:
        return _convert(value, rest[0], path)
    for member in rest:
        try:
            return _convert(value, member, path)
        except _Misfit:
            pass
    raise _Misfit(f"{path} is {_kind(value)} that matches none of {', '.join(map(_name, members))}")


def _literal(value: Any, choices: Iterable[Any], path: str) -> Any:
    for choice in choices:
        plain = choice.value if isinstance(choice, enum.Enum) else choice
        if type(plain) is type(value) and plain == value:
            return choice
    raise _Misfit(f"{path} is {_kind(value)} that is not one of {', '.join(map(repr, choices))}")


def _scalar(value: Any, target: Any, path: str) -> Any:
    fits = isinstance(value, _SCALARS[target])
    if not fits or isinstance(value, bool) != (target is bool):
        _refuse(value, target, path)
    if target is not float:
        return value
    try:
        return float(value)
    except OverflowError:
        raise _Misfit(f"{path} is a number that is too large for a float") from None


def _items(value: Any, target: Any, item_type: Any, path: str) -> List[Any]:
    if not isinstance(value, (list, tuple)):
        _refuse(value, target, path)
    return [_convert(item, item_type, f"{path}[{at}]") for at, item in enumerate(value)]


def _tuple(value: Any, target: Any, args: Tuple[Any, ...], path: str) -> Tuple[Any, ...]:
    if target in (tuple, typing.Tuple) or args[1:] == (Ellipsis,):
        return tuple(_items(value, target, args[0] if args else Any, path))
    types_ = () if args == ((),) else args  # what get_args makes of Tuple[()] before 3.11
    items = _items(value, target, Any, path)
    if len(items) != len(types_):
        raise _Misfit(f"{path} is an array of {len(items)} items, not {len(types_)}")
    return tuple(_convert(item, types_[at], f"{path}[{at}]") for at, item in enumerate(items))


def _set(value: Any, target: Any, item_type: Any, path: str) -> Any:
    items = _items(value, target, item_type, path)
    try:
        return (frozenset if _origin(target) is frozenset else set)(items)
    except TypeError:
        raise _Misfit(f"{path} contains items that can't be in a set") from None


def _dict(value: Any, target: Any, args: Tuple[Any, ...], path: str) -> Dict[str, Any]:
    if _unwrapped(args[0]) not in (str, Any):
        raise TypeError(f"can't convert to {_name(target)}: the keys of JSON objects are strings")
    members = _object(value, target, path).items()
    return {key: _convert(item, args[1], _member(path, key)) for key, item in members}


def _enum(value: Any, target: Any, path: str) -> Any:
    # Not by calling the enum, which would accept True for 1. The types must be equal, too.
    for member in target.__members__.values():
        if type(member.value) is type(value) and member.value == value:
            return member
    raise _Misfit(f"{path} is {_kind(value)} that is not a value of {_name(target)}")


def _from_text(value: Any, target: Any, path: str) -> Any:
    if not isinstance(value, str):
        _refuse(value, target, path)
    try:
        if target is datetime:
            return parse_timestamp(value)
        parsed = uuid.UUID(value)
        if str(parsed) == value.lower():  # uuid also takes braces, underscores, any digits
            return parsed
    except ValueError:
        pass
    form = "strict RFC 3339 time" if target is datetime else "UUID"
    raise _Misfit(f"{path} is a string that is not a {form}")


def _dataclass(value: Any, target: Any, path: str) -> Any:
    fields = [field for field in dataclasses.fields(target) if field.init]
    hints = {field.name: _hints(target)[field.name] for field in fields}
    no_default = dataclasses.MISSING
    required = (f.name for f in fields if f.default is f.default_factory is no_default)
    arguments = _fields(value, target, hints, required, path)
    return _construct(target, lambda: target(**arguments), path)


def _typed_dict(value: Any, target: Any, path: str) -> Dict[str, Any]:
    hints = _hints(target)
    required = getattr(target, "__required_keys__", hints if target.__total__ else ())
    # Annotations that are strings hide their qualifiers from __required_keys__.
    marks = {name: _qualifier(hint) or str(name in required) for name, hint in hints.items()}
    needed = (name for name in hints if marks[name] in ("Required", "True"))
    return _fields(value, target, hints, needed, path)


def _fields(
    value: Any, target: Any, hints: Dict[str, Any], required: Iterable[str], path: str
) -> Dict[str, Any]:
    members = _object(value, target, path)
    for name in required:
        if name not in members:
            raise _Misfit(f"{path} has no field {name!r}, which {_name(target)} needs")
    present = [name for name in hints if name in members]
    return {name: _convert(members[name], hints[name], _member(path, name)) for name in present}


@functools.lru_cache(maxsize=256)
def _hints(target: Any) -> Dict[str, Any]:
    try:
        if sys.version_info >= (3, 9):
            return typing.get_type_hints(target, include_extras=True)
        else:
            return typing.get_type_hints(target)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise TypeError(f"can't resolve the annotations of {_name(target)}: {error}") from error


def _construct(target: Any, build: Callable[[], Any], path: str) -> Any:
    try:
        return build()
    except ValueError as error:
        find = getattr(error, "errors", None)
        if find is None:
            raise _Misfit(f"{path} is refused by {_name(target)} itself") from None
        raise _Misfit("; ".join(_problems(find(), path))) from None


def _problems(found: Sequence[Dict[str, Any]], path: str) -> List[str]:
    problems = [
        f"{functools.reduce(_member, one['loc'], path)} {sentence(one)}" for one in found[:5]
    ]
    return [*problems, f"and {len(found) - 5} more"] if len(found) > 5 else problems


def _member(path: str, key: Any) -> str:
    longer = f"{path}.{key}" if isinstance(key, str) and key.isidentifier() else f"{path}[{key!r}]"
    return longer if len(longer) <= 200 else f"{longer[:80]} ... {longer[-100:]}"


def _object(value: Any, target: Any, path: str) -> Dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(value, target, path)
    return value


def _refuse(value: Any, target: Any, path: str) -> NoReturn:
    name = _name(target)
    article = "" if name == "None" else "an " if name[0] in "aeioAEIO" else "a "
    raise _Misfit(f"{path} is not {article}{name} but {_kind(value)}")


def _unsupported(target: Any) -> NoReturn:
    raise TypeError(f"can't convert to {_name(target)}; what can be is {_SUPPORTED}")


def _name(target: Any) -> str:
    if target is None or target is _NoneType:
        return "None"
    if isinstance(target, type) and not typing.get_args(target):
        return target.__qualname__.split("<locals>.")[-1]
    return str(target).replace("typing.", "")


def _kind(value: Any) -> str:
    return next(name for kind, name in _KINDS if isinstance(value, kind))
