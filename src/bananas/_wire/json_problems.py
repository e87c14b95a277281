"""Says what JSON can't carry: where in a value it stands, and what to pass instead."""

from __future__ import annotations

import builtins
import collections.abc
import dataclasses
import enum
import inspect
import sys
from typing import Any, Callable, List, Optional, Set, Tuple

__all__ = ["MAX_NESTING", "describe_problem", "is_native", "max_levels", "member_path", "type_name"]

#: The most levels of containers that Go reads; the document itself is one of them.
MAX_NESTING = 10_000

_CONTAINERS = (dict, list, tuple)
_NATIVE = (str, int, float, dict, list, tuple, type(None))  # bool is an int
_CONVERT = "convert it first; a client's json_default does that for every submit"


def max_levels() -> int:
    """Return how deep a value may be nested to be read or written by this interpreter.

    Its recursion limit itself is not to be reached: below Python 3.9, whatever the garbage
    collector runs at that moment may end the process.
    """
    return min(MAX_NESTING - 1, sys.getrecursionlimit() * 2 // 3)


def is_native(item: Any) -> bool:
    """Whether JSON has a form for values of this type, whatever they hold.

    The type decides, and not ``__class__``, which a lazy proxy sets to that of its target.
    NumPy's ``float64`` is a float to Python; it is refused as ``int64`` and ``float32`` are.
    """
    kind = type(item)
    return issubclass(kind, _NATIVE) and not (
        issubclass(kind, float) and kind.__module__ == "numpy"
    )


def type_name(item: Any) -> str:
    """Return the name of a value's type, with its package where the name alone misleads."""
    kind = type(item)
    package = kind.__module__.partition(".")[0]
    misleads = package != "builtins" and hasattr(builtins, kind.__name__)
    return f"{package}.{kind.__name__}" if misleads or package == "numpy" else kind.__name__


def describe_problem(value: Any, argument: str) -> str:
    """Find what can't be written as JSON, without recursion.

    Args:
        value: What was refused.
        argument: What the value is to the caller.

    Returns:
        A sentence that begins with the place of the problem, and never shows a value.
    """
    path_here: List[Any] = []  # which keeps what a container makes as it is asked alive
    open_containers: Set[int] = set()
    steps: List[Tuple[str, Any, int]] = [(argument, value, 0)]
    while steps:
        path, item, depth = steps.pop()
        while len(path_here) > depth:
            open_containers.discard(id(path_here.pop()))
        problem = _problem(item, open_containers)
        if problem:
            return f"{path} {problem}"
        if issubclass(type(item), _CONTAINERS):
            if depth + 2 > MAX_NESTING:
                break
            path_here.append(item)
            open_containers.add(id(item))
            steps.extend((p, child, depth + 1) for p, child in reversed(_children(path, item)))
    return f"{argument} {_too_deep(max_levels())}"


def _too_deep(levels: int) -> str:
    if levels >= MAX_NESTING - 1:
        return f"is nested more than {levels} levels deep, the most that Go reads"
    return (
        f"is nested more than {levels} levels deep, the most that can be written here "
        f"(two thirds of Python's recursion limit, {sys.getrecursionlimit()})"
    )


def _children(path: str, item: Any) -> List[Tuple[str, Any]]:
    if not issubclass(type(item), dict):
        return [(_short(f"{path}[{index}]"), child) for index, child in enumerate(item)]
    found: List[Tuple[str, Any]] = []
    for key, child in item.items():
        if not issubclass(type(key), str):
            reason = f"has a key of type {type_name(key)}; JSON keys are strings: pass str(key)"
            found.append((path, _BadKey(reason)))
        elif _lone_surrogate(key) is not None:
            found.append((path, _BadKey("has a key with a lone surrogate, which Go can't read")))
        else:
            found.append((member_path(path, key), child))
    return found


def member_path(path: str, key: str) -> str:
    """Return the place of an object's member, cut in the middle where it is long."""
    return _short(f"{path}.{key}" if key.isidentifier() else f"{path}[{key!r}]")


class _BadKey(str):
    """Stands among the children of a dict for a key that can't be written."""


def _problem(item: Any, open_containers: Set[int]) -> Optional[str]:
    kind = type(item)
    if kind is _BadKey:
        return str(item)
    if not is_native(item):
        return f"is of type {type_name(item)}, which JSON has no form for: {_remedy(item)}"
    if issubclass(kind, str):
        at = _lone_surrogate(item)
        return None if at is None else f"contains a lone surrogate at position {at}, not UTF-8"
    if issubclass(kind, float):
        finite = item - item == 0
        return (
            None
            if finite
            else "is not a finite number; JSON has no NaN or Infinity: pass None or a string"
        )
    if issubclass(kind, int):
        return None if abs(item) < 10**4000 else "is a number of more than 4,000 digits"
    return "refers to itself" if id(item) in open_containers else None


# Classes are recognized by their names: nothing is imported for a message.
_REMEDIES = {
    "datetime.datetime": "pass value.isoformat()",
    "datetime.date": "pass value.isoformat()",
    "datetime.time": "pass value.isoformat()",
    "datetime.timedelta": "pass value.total_seconds()",
    "uuid.UUID": "pass str(value)",
    "decimal.Decimal": "pass str(value), which keeps every digit",
    "fractions.Fraction": "pass str(value)",
    "pathlib.PurePath": "pass str(value)",
    "ipaddress._IPAddressBase": "pass str(value)",
    "re.Pattern": "pass value.pattern",
    "builtins.bytes": "pass value.decode(), or base64.b64encode(value).decode()",
    "builtins.bytearray": "pass value.decode(), or base64.b64encode(value).decode()",
    "builtins.memoryview": "pass base64.b64encode(value).decode()",
    "builtins.set": "pass sorted(value) or list(value)",
    "builtins.frozenset": "pass sorted(value) or list(value)",
    "builtins.complex": "pass [value.real, value.imag]",
    "builtins.BaseException": "pass str(value)",
    "builtins.function": "call it, or leave it out",
    "builtins.type": "pass a value, not a class",
    "numpy.datetime64": "pass str(value)",
    "numpy.timedelta64": "pass str(value)",
    "numpy.generic": "pass value.item()",
    "numpy.ndarray": "pass value.tolist()",
    "pandas.DataFrame": 'pass value.to_dict("records")',
    "pandas.Series": "pass value.tolist()",
    "pandas.NaTType": "pass None",
    "django.QuerySet": "pass list(value.values())",
    "django.Model": "pass django.forms.models.model_to_dict(value), or the fields that you need",
}


def _remedy(item: Any) -> str:
    """Say what to pass instead; by what the item is, and then by what it can do."""
    kind = type(item)
    if inspect.isawaitable(item):
        return "is an await missing?"
    if issubclass(kind, enum.Enum):
        return "pass value.value"
    for base in kind.__mro__[:-1]:
        package = base.__module__.partition(".")[0]
        found = _REMEDIES.get(f"{package}.{base.__name__}")
        if found:
            return found
    for has_trait, remedy in _TRAITS:
        if has_trait(item):
            return remedy
    return _CONVERT


def _stands_for_another(item: Any) -> bool:
    try:
        return item.__class__ is not type(item)
    except Exception:  # a proxy without a target raises whatever it likes
        return True


_TRAITS: Tuple[Tuple[Callable[[Any], bool], str], ...] = (
    (_stands_for_another, "it stands for another value: pass that value"),
    (lambda item: hasattr(type(item), "model_dump"), 'pass value.model_dump(mode="json")'),
    (dataclasses.is_dataclass, "pass dataclasses.asdict(value)"),
    (lambda item: hasattr(type(item), "__attrs_attrs__"), "pass attrs.asdict(value)"),
    (lambda item: issubclass(type(item), collections.abc.Mapping), "pass dict(value)"),
    (lambda item: issubclass(type(item), collections.abc.AsyncIterable), "collect it in a list"),
    (lambda item: issubclass(type(item), collections.abc.Iterable), "pass list(value)"),
)


def _lone_surrogate(text: str) -> Optional[int]:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def _short(path: str) -> str:
    return path if len(path) <= 200 else f"{path[:80]} ... {path[-100:]}"
