"""Replaces values that JSON has no form for by what the caller's ``json_default`` returns."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from .. import exceptions as exc
from .json_problems import describe_problem, is_native, max_levels, member_path

__all__ = ["Default", "replace_foreign"]

#: What ``json.dumps`` takes as ``default``: returns what to write in place of a value.
Default = Callable[[Any], Any]


def replace_foreign(value: Any, default: Default, argument: str) -> Any:
    """Return a copy of a value in which ``default`` has replaced what is foreign to JSON.

    What it returns is checked in the same way. Keys of objects are left as they are.

    Args:
        value: What to copy.
        default: Called with each foreign value; a TypeError from it refuses the value, as it
            does for ``json.dumps``. Any other exception passes unchanged.
        argument: What the value is to the caller, for messages.

    Raises:
        SerializationError: ``default`` refused a value, or never returned one that JSON has a form
            for. The message says where in the value, and never shows it.
    """
    return _Replacement(default).copy(value, argument, max_levels())


class _Replacement:
    def __init__(self, default: Default) -> None:
        self._default = default

    def copy(self, value: Any, path: str, levels: int) -> Any:
        kind = type(value)
        if not is_native(value):
            return self.copy(self._converted(value, path), path, self._deeper(levels, path))
        if issubclass(kind, dict):
            members: Dict[Any, Any] = {}
            for key, child in value.items():
                # A key that is no string is refused afterwards, like any other.
                longer = member_path(path, key) if issubclass(type(key), str) else path
                members[key] = self.copy(child, longer, self._deeper(levels, path))
            return members
        if issubclass(kind, (list, tuple)):
            items: List[Any] = []
            for at, child in enumerate(value):
                items.append(self.copy(child, f"{path}[{at}]", self._deeper(levels, path)))
            return items
        return value

    def _converted(self, value: Any, path: str) -> Any:
        try:
            made = self._default(value)
        except TypeError as error:
            raise _refusal(value, path) from error
        if made is value:
            raise _refusal(value, path)
        return made

    @staticmethod
    def _deeper(levels: int, path: str) -> int:
        if levels <= 1:
            place = path if len(path) <= 60 else f"{path[:57]}..."
            raise exc.SerializationError(
                f"{place} is nested too deeply, refers to itself, or is something for which "
                "json_default never returns a JSON value"
            )
        return levels - 1


def _refusal(value: Any, path: str) -> exc.SerializationError:
    problem = describe_problem(value, path)
    return exc.SerializationError(f"{problem} (json_default does not convert it)")
