"""Type aliases, protocols, and the "not given" sentinel."""

from __future__ import annotations

import enum
from datetime import timedelta
from typing import Any, List, Literal, Mapping, Tuple, Union

__all__ = ["NOT_GIVEN", "IfExists", "JSONValue", "NotGiven", "Seconds"]

#: Any JSON value. ``Any`` stands where mypy would need a recursive alias that 3.8 can't express;
#: a ``TypedDict`` is a ``Mapping`` to type checkers, and a named tuple is a tuple.
JSONValue = Union[None, bool, int, float, str, List[Any], Tuple[Any, ...], Mapping[str, Any]]

#: What to do when a job with this id exists: return the id, or raise ``JobExistsError``.
IfExists = Literal["return", "raise"]

#: A span of time: seconds as a number, or a timedelta.
Seconds = Union[int, float, timedelta]


class NotGiven(enum.Enum):
    """The type of ``NOT_GIVEN``, for arguments where None has a meaning of its own."""

    token = 0

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN = NotGiven.token
