"""RFC 3339 as Go writes and reads it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bananas import exceptions as exc
from bananas._wire.timestamps import (
    UTC,
    format_timestamp,
    from_unix_time,
    parse_timestamp,
    stamp,
    to_unix_time,
    utcnow,
)
from tests.unit.strategies import quickly

ZONES = st.integers(-24 * 60 + 1, 24 * 60 - 1).map(lambda m: timezone(timedelta(minutes=m)))
MOMENTS = st.datetimes(timezones=ZONES)
MICROSECOND = timedelta(microseconds=1)
FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-15T10:30:00Z", datetime(2025, 1, 15, 10, 30, tzinfo=UTC)),
        ("2025-01-15T10:30:05.5Z", datetime(2025, 1, 15, 10, 30, 5, 500000, tzinfo=UTC)),
        ("2025-01-15T10:30:05.123456789Z", datetime(2025, 1, 15, 10, 30, 5, 123456, tzinfo=UTC)),
        ("2025-01-15T10:30:05.999999999Z", datetime(2025, 1, 15, 10, 30, 5, 999999, tzinfo=UTC)),
        ("2025-01-15T10:30:05,25Z", datetime(2025, 1, 15, 10, 30, 5, 250000, tzinfo=UTC)),
        ("2025-01-15T16:00:05+05:30", datetime(2025, 1, 15, 10, 30, 5, tzinfo=UTC)),
        ("2025-01-15T07:00:05-03:30", datetime(2025, 1, 15, 10, 30, 5, tzinfo=UTC)),
        ("2025-01-15T10:30:00-00:00", datetime(2025, 1, 15, 10, 30, tzinfo=UTC)),
        ("2025-01-15T10:30:00+24:60", datetime(2025, 1, 14, 9, 30, tzinfo=UTC)),
        ("2025-01-15T1:30:00Z", datetime(2025, 1, 15, 1, 30, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_reading(text: str, expected: datetime) -> None:
    """What Go writes is read in UTC, cut off after the microsecond."""
    moment = parse_timestamp(text)
    assert moment == expected
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0000-01-01T00:00:00Z", FIRST),
        ("0000-02-29T12:00:00-24:00", FIRST),
        ("0001-01-01T00:00:00+00:01", FIRST),
        ("0001-01-01T00:00:00Z", FIRST),
        ("9999-12-31T23:59:59.999999999Z", LAST),
        ("9999-12-31T23:59:59-00:01", LAST),
    ],
)
def test_moments_beyond_python_are_clamped(text: str, expected: datetime) -> None:
    """A moment that only Go can hold becomes the nearest that Python can hold."""
    assert parse_timestamp(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "1736937000", "2025-01-15", "2025-01-15T10:30Z", "2025-01-15T10:30:00",
        "2025-01-15 10:30:00Z", "2025-01-15t10:30:00Z", "2025-01-15T10:30:00z",
        "2025-01-15T10:30:00+00:00Z", "2025-01-15T10:30:00+0530", "2025-01-15T10:30:00+05",
        "2025-01-15T10:30:00.Z", "2025-01-15T10:30:00Z\n", " 2025-01-15T10:30:00Z",
        "10000-01-01T00:00:00Z", "-001-01-01T00:00:00Z", "2025-1-15T10:30:00Z",
        "\u0662025-01-15T10:30:00Z", "2025-01-15T10:30:00.\u0661Z", "2025-W03-3T10:30:00Z",
    ],
)  # fmt: skip
def test_what_is_not_strict_is_refused(text: str) -> None:
    """What Go refuses is refused, with the name of the field."""
    expected = f"created_at is not a strict RFC 3339 time: {text[:40]!r}"
    with pytest.raises(exc.SerializationError, match=f"^{re.escape(expected)}$"):
        parse_timestamp(text, "created_at")


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-15T24:00:00Z", "2025-01-15T23:60:00Z", "2025-01-15T23:59:60Z",
        "2025-02-29T00:00:00Z", "2025-13-01T00:00:00Z", "2025-00-10T00:00:00Z",
        "2025-04-31T00:00:00Z", "0000-02-30T00:00:00Z",
    ],
)  # fmt: skip
def test_times_that_do_not_exist_are_refused(text: str) -> None:
    """No such day, hour or second: refused, as by Go."""
    with pytest.raises(exc.SerializationError, match=r"^timestamp is out of range, .*: '"):
        parse_timestamp(text)


@pytest.mark.parametrize("offset", ["+25:00", "-24:61", "+99:99"])
def test_impossible_offsets_are_refused(offset: str) -> None:
    """An offset of more than 24 hours, or 60 minutes, is refused."""
    with pytest.raises(exc.SerializationError, match="^due has an impossible offset: '2025-"):
        parse_timestamp(f"2025-01-15T10:30:00{offset}", "due")


def test_a_long_text_is_not_shown_whole() -> None:
    """The message shows 40 characters of the text at most."""
    with pytest.raises(exc.SerializationError) as caught:
        parse_timestamp("9" * 10_000)
    assert len(str(caught.value)) < 100


@quickly
@given(st.text(max_size=40) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9T:.,Z+-]{0,25}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Any text at all gives an aware moment in UTC or our error."""
    try:
        moment = parse_timestamp(text)
    except exc.SerializationError:
        return
    assert moment.tzinfo is UTC


@quickly
@given(MOMENTS)
def test_written_moments_are_read_back(moment: datetime) -> None:
    """What is written is UTC with a Z, and reads back as the same moment."""
    try:
        text = format_timestamp(moment)
    except ValueError:
        with pytest.raises(OverflowError):
            moment.astimezone(UTC)
        return
    assert text.endswith("Z")
    assert "+" not in text
    assert parse_timestamp(text) == moment


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2025, 1, 15, 10, 30, tzinfo=UTC), "2025-01-15T10:30:00Z"),
        (datetime(2025, 1, 15, 10, 30, 0, 5, tzinfo=UTC), "2025-01-15T10:30:00.000005Z"),
        (
            datetime(2025, 1, 15, 16, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2025-01-15T10:30:00Z",
        ),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_writing(moment: datetime, expected: str) -> None:
    """A moment of any zone is written in UTC, with a capital Z and no offset."""
    assert format_timestamp(moment) == expected


def test_a_naive_moment_is_refused_by_name() -> None:
    """A datetime without a zone is refused, with a word on how to make one that has."""
    expected = (
        "scheduled_for must be an aware datetime, not the naive 2025-01-15T10:30:00: "
        "give it a time zone, such as datetime.now(timezone.utc)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        format_timestamp(datetime(2025, 1, 15, 10, 30), "scheduled_for")


class Nowhere(tzinfo):
    """A zone that does not know its offset."""

    def utcoffset(self, moment: Optional[datetime]) -> Optional[timedelta]:
        return None

    def dst(self, moment: Optional[datetime]) -> Optional[timedelta]:
        return None

    def tzname(self, moment: Optional[datetime]) -> Optional[str]:
        return None


def test_a_zone_without_an_offset_counts_as_naive() -> None:
    """A datetime is naive, whatever its tzinfo is, when it has no offset."""
    with pytest.raises(ValueError, match="aware datetime"):
        format_timestamp(datetime(2025, 1, 15, tzinfo=Nowhere()))


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    ],
)
def test_moments_outside_the_calendar_are_refused(moment: datetime) -> None:
    """A moment that leaves the years 1 to 9999 in UTC is refused."""
    with pytest.raises(ValueError, match="^due must be in the years 1 to 9999 in UTC$"):
        format_timestamp(moment, "due")


def test_stamps() -> None:
    """The current time as text is what the clock says, to the microsecond, in one fixed form."""
    for _ in range(1000):
        before = utcnow()
        text = stamp().decode()
        after = utcnow()
        assert re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z\Z", text)
        assert before - MICROSECOND <= parse_timestamp(text) <= after + MICROSECOND


def test_the_clock_is_aware() -> None:
    """The clock tells UTC."""
    assert utcnow().tzinfo is UTC


def test_unix_times() -> None:
    """A Unix time is a whole second that never lies before its moment, and may be none at all."""
    moment = datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert to_unix_time(moment) == -1
    assert to_unix_time(moment + MICROSECOND) == 0
    assert from_unix_time(-1) == moment
    assert from_unix_time(0.5) == datetime(1970, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)
    assert [from_unix_time(float(text)) for text in ("1e300", "-1e12", "inf", "nan")] == [None] * 4
