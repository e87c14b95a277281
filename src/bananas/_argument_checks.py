"""Checks of what callers pass: each refuses with a ValueError that names the argument and why."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone
from inspect import isawaitable
from typing import Any, Iterable, List, Optional, Union

from ._types import Seconds

__all__ = [
    "MAX_INT64",
    "check_callable",
    "check_integer",
    "check_iterable",
    "check_job_id",
    "check_job_ids",
    "check_key_prefix",
    "check_limit",
    "check_name",
    "check_routing_key",
    "check_routing_keys",
    "check_seconds",
    "check_text",
    "check_timeout",
    "check_ttl",
    "due_time",
    "kind_of",
    "plain",
    "shown",
]

MAX_INT64 = 2**63 - 1
_YEAR = 365 * 24 * 3600.0
_JOB_ID = re.compile(r"[A-Za-z0-9._-]{1,256}\Z")
_ROUTING_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
# fullmatch is one C call; the hot path of a submit goes through these.
_is_job_id = _JOB_ID.match
_is_routing_key = _ROUTING_KEY.match


def check_job_id(value: Any, argument: str = "job_id") -> str:
    """Return a job id: 1 to 256 letters, digits, and the characters ``.``, ``_``, ``-``."""
    if issubclass(type(value), str) and _is_job_id(value):
        return plain(value)
    raise ValueError(
        f"{argument} must be 1 to 256 letters, digits, '.', '_' or '-', not {shown(value)}"
    )


def check_job_ids(values: Iterable[object], argument: str = "job_ids") -> List[str]:
    """Return a list of job ids; a string is none, though its letters might pass for ids."""
    if isinstance(values, (str, bytes, bytearray, memoryview)):
        raise ValueError(
            f"{argument} must be a list of job ids, not {type(values).__name__}: for one job write "
            "[job_id]"
        )
    check_iterable(values, argument, "job ids")
    return [
        (
            value
            if type(value) is str and _is_job_id(value)
            else check_job_id(value, f"{argument}[{index}]")
        )
        for index, value in enumerate(values)
    ]


def check_iterable(values: object, argument: str, members: str) -> None:
    """Refuse what can't be iterated over; its iteration does not begin."""
    kind = type(values)
    if not hasattr(kind, "__iter__") and not hasattr(kind, "__getitem__"):
        if hasattr(kind, "__aiter__"):
            raise ValueError(
                f"{argument} must be a list of {members}, not {kind.__name__}, which only "
                "'async for' can iterate over: make a list of it first"
            )
        raise ValueError(f"{argument} must be a list of {members}, not {kind_of(values)}")


def check_routing_key(value: Any, argument: str = "routing_key") -> Optional[str]:
    """Return a routing key (1 to 64 of ``A-Z a-z 0-9 _ -``), or None for the flat lists."""
    if value is None:
        return None
    if issubclass(type(value), str) and _is_routing_key(value):
        return plain(value)
    raise ValueError(
        f"{argument} must be 1 to 64 letters, digits, '_' or '-', or None, not {shown(value)}"
    )


def check_routing_keys(values: Iterable[object]) -> List[Optional[str]]:
    """Return a list of routing keys, each of which may be None for the flat lists."""
    if isinstance(values, (str, bytes)):
        raise ValueError("routing_keys must be a list of routing keys, not one: write [key]")
    check_iterable(values, "routing_keys", "routing key")
    return [check_routing_key(key, f"routing_keys[{index}]") for index, key in enumerate(values)]


def check_key_prefix(value: Any, argument: str = "key_prefix") -> str:
    """Return a prefix for all keys: printable ASCII without spaces or the hash-tag braces."""
    if issubclass(type(value), str) and re.match(r"[!-z|~]*\Z", value):
        return plain(value)
    raise ValueError(
        f"{argument} must be printable ASCII without spaces, '{{' or '}}', not {shown(value)}"
    )


def check_text(value: object, argument: str) -> str:
    """Return a string that UTF-8 can carry."""
    if not issubclass(type(value), str):
        raise ValueError(f"{argument} must be a string, not {kind_of(value)}")
    text = plain(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise ValueError(
            f"{argument} contains a lone surrogate at position {exc.start}, which Go can't read"
        ) from None
    return text


def check_name(value: object, argument: str = "name") -> str:
    """Return the name of a job's handler: any text but the empty one."""
    text = check_text(value, argument)
    if not text.strip():
        raise ValueError(f"{argument} must not be empty: it tells the worker which handler to run")
    return text


def check_callable(value: Any, argument: str) -> Any:
    """Return a function, or None."""
    if value is None or callable(value):
        return value
    raise ValueError(f"{argument} must be a function or None, not {kind_of(value)}")


def check_integer(value: object, argument: str, *, at_least: int) -> int:
    """Return a whole number that fits Go's int."""
    if type(value) is bool or not issubclass(type(value), int):
        raise ValueError(f"{argument} must be a whole number, not {shown(value)}")
    assert isinstance(value, int)
    if not at_least <= value <= MAX_INT64:
        raise ValueError(f"{argument} must be from {at_least} to 2**63 - 1, not {shown(value)}")
    return int(value)


def check_limit(value: object) -> Optional[int]:
    """Return how many at most; None is all."""
    return None if value is None else check_integer(value, "limit", at_least=0)


def check_seconds(value: object, argument: str) -> float:
    """Return a span in seconds, from a number or a timedelta; 0 or more, and finite."""
    kind = type(value)
    if issubclass(kind, timedelta):
        assert isinstance(value, timedelta)
        seconds = value.total_seconds()
    elif issubclass(kind, (int, float)) and kind is not bool:
        assert isinstance(value, (int, float))
        try:
            seconds = float(value)
        except OverflowError:
            seconds = math.inf
    else:
        raise ValueError(f"{argument} must be seconds or a timedelta, not {shown(value)}")
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{argument} must be 0 or more and finite, not {shown(value)}")
    return seconds


def check_timeout(value: Optional[Seconds], argument: str = "timeout") -> Optional[float]:
    """Return a time limit in seconds; None is no limit, and so is more than a century."""
    if value is None:
        return None
    seconds = check_seconds(value, argument)
    # Timers overflow on some platforms; nobody waits for a century.
    return seconds if seconds < 100 * _YEAR else None


def check_ttl(value: object, argument: str) -> int:
    """Return an expiry in whole seconds, rounded up; more than 0 and at most 100 years."""
    seconds = check_seconds(value, argument)
    if not 0 < seconds <= 100 * _YEAR:
        raise ValueError(
            f"{argument} must be more than 0 and at most 100 years, not {shown(value)}"
        )
    return math.ceil(seconds)


def due_time(
    value: Union[datetime, timedelta], now: datetime, argument: str = "scheduled_for"
) -> datetime:
    """Return when a job is due, in UTC, from an aware datetime or a span from ``now``."""
    kind = type(value)
    if issubclass(kind, timedelta):
        assert isinstance(value, timedelta)
        if value < timedelta(0):
            raise ValueError(f"{argument} must not be a negative timedelta, not {value!s}")
        try:
            return now + value
        except OverflowError:
            raise ValueError(
                f"{argument} must be before the year 10000: {value!s} from now"
            ) from None
    if not issubclass(kind, datetime) or value != value:  # as pandas.NaT, "not a time"
        remedy = ": write timedelta(seconds=...)" if kind_of(value) in ("int", "float") else ""
        raise ValueError(
            f"{argument} must be an aware datetime or a timedelta, not {kind_of(value)}{remedy}"
        )
    assert isinstance(value, datetime)
    if value.utcoffset() is None:
        raise ValueError(
            f"{argument} must be an aware datetime, not the naive {value.isoformat()}: "
            "give it a time zone, such as datetime.now(timezone.utc)"
        )
    try:
        return value.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError(f"{argument} must be in the years 1 to 9999 in UTC") from None


def plain(value: Any) -> str:
    """Return the text of a string as a plain ``str``.

    A subclass may print as something else: ``f"{Route.A}"`` is ``Route.A`` for an enum of strings
    from Python 3.11 on.
    """
    return value if type(value) is str else str.__str__(value)


def check_on_timeout(value: str) -> bool:
    """Return whether a job that has not ended in time is to be cancelled."""
    if value not in ("leave", "cancel"):
        raise ValueError("on_timeout must be 'leave' or 'cancel'")
    return value == "cancel"


def kind_of(value: object) -> str:
    """Return the name of a value's type, and what was probably forgotten."""
    name = type(value).__name__
    return f"{name}: is an await missing?" if isawaitable(value) else name


def shown(value: object) -> str:
    """Show an argument in a message: short strings as they are, else only the type."""
    kind = type(value)
    if issubclass(kind, timedelta):
        return str(value)
    if issubclass(kind, int):
        assert isinstance(value, int)
        return repr(value) if abs(value) < 10**20 else "a huge int"
    if issubclass(kind, (str, float)):
        text = repr(plain(value)) if issubclass(kind, str) else repr(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    return kind_of(value)
