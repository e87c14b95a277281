"""RFC 3339 as Go writes and reads it."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from typing import Optional, Tuple

from .. import exceptions as exc

__all__ = [
    "UTC",
    "format_timestamp",
    "from_unix_time",
    "parse_timestamp",
    "stamp",
    "to_unix_time",
    "utcnow",
]

UTC = timezone.utc
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIN = datetime.min.replace(tzinfo=UTC)
_MAX = datetime.max.replace(tzinfo=UTC)

# Go takes a one-digit hour, a comma before the fraction, any number of fractional digits (the
# first nine count) and offsets up to 24:60. Nothing else is lenient: see the recorded timestamps
# among the contract vectors. [0-9], since \d would take other scripts' digits.
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})"
    r"(?:[.,]([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))\Z"
)


def utcnow() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def to_unix_time(moment: datetime) -> int:
    """Return the Unix time in whole seconds, never before the moment itself."""
    span = moment - _EPOCH
    return span.days * 86400 + span.seconds + (1 if span.microseconds else 0)


def from_unix_time(seconds: float) -> Optional[datetime]:
    """Return the moment of a Unix time; None where no datetime can hold it."""
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return None


_second: Tuple[int, bytes] = (0, b"")


def stamp() -> bytes:
    """Return the current time as text for the wire; the part down to the second is made once."""
    global _second
    now = time.time()
    whole = int(now)
    known, text = _second
    if known != whole:
        # strftime imports, which is not possible while the interpreter ends.
        text = datetime.fromtimestamp(whole, UTC).isoformat()[:19].encode() + b"."
        _second = (whole, text)
    return b"%b%06dZ" % (text, (now - whole) * 1_000_000)


def parse_timestamp(text: str, field: str = "timestamp") -> datetime:
    """Return the moment that Go would read, in UTC, truncated to the microsecond.

    A moment that Go can hold and Python can't (the year 0, or an offset that pushes a time out of
    the years 1 to 9999) becomes the nearest one that Python can hold.

    Raises:
        SerializationError: Go would refuse the text.
    """
    match = _RFC3339.match(text)
    if match is None:
        raise exc.SerializationError(f"{field} is not a strict RFC 3339 time: {text[:40]!r}")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    microsecond = int(fraction[:6].ljust(6, "0")) if fraction else 0
    offset = timedelta()
    if sign:
        if int(offset_hours) > 24 or int(offset_minutes) > 60:
            raise exc.SerializationError(f"{field} has an impossible offset: {text[:40]!r}")
        offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
        if sign == "-":
            offset = -offset
    try:
        # The year 0 is a leap year, as 2000 is; it is checked as one and then clamped.
        moment = datetime(year or 2000, month, day, hour, minute, second, microsecond, tzinfo=UTC)
    except ValueError as error:
        raise exc.SerializationError(f"{field} is out of range, {error}: {text[:40]!r}") from None
    if year == 0:
        return _MIN
    try:
        return moment - offset
    except OverflowError:
        return _MIN if offset > timedelta() else _MAX


def format_timestamp(moment: datetime, field: str = "timestamp") -> str:
    """Return a moment as UTC text with a capital Z, which every Go reader takes.

    Raises:
        ValueError: The moment is naive, or lies outside the years 1 to 9999 once it is in UTC.
    """
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError(
            f"{field} must be an aware datetime, not the naive {moment.isoformat()}: "
            "give it a time zone, such as datetime.now(timezone.utc)"
        )
    try:
        return (moment.replace(tzinfo=None) - offset).isoformat() + "Z"
    except OverflowError:
        raise ValueError(f"{field} must be in the years 1 to 9999 in UTC") from None
