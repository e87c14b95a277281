"""What callers may pass, and how the rest is refused."""

from __future__ import annotations

import enum
import re
from datetime import datetime, timedelta, timezone
from inspect import isawaitable
from typing import Any, Callable, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bananas import AsyncClient, JobPriority
from bananas._argument_checks import (
    MAX_INT64,
    check_integer,
    check_job_id,
    check_key_prefix,
    check_name,
    check_routing_key,
    check_seconds,
    check_text,
    check_timeout,
    check_ttl,
    due_time,
)
from bananas._redis.url import parse_url
from bananas.enums import check_priority
from tests.unit.lazy import Lazy
from tests.unit.strategies import quickly

UTC = timezone.utc
NOW = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)


def check_description(value: Any) -> str:
    """Check a text as a job's description."""
    return check_text(value, "description")


def message(text: str) -> str:
    """Return a pattern that matches this message and no other."""
    return f"^{re.escape(text)}$"


@pytest.mark.parametrize("value", ["a", "A.b_c-9", "0" * 256, "-", "..."])
def test_job_ids(value: str) -> None:
    """A job id is letters, digits and three marks, up to 256 of them."""
    assert check_job_id(value) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", "''"),
        ("a b", "'a b'"),
        ("a\n", r"'a\n'"),
        ("a:b", "'a:b'"),
        ("\u00e9", "'\u00e9'"),
        ("\u0661", "'\u0661'"),
        ("0" * 257, "'" + "0" * 56 + "..."),
        (7, "7"),
        (b"a", "bytes"),
        (None, "NoneType"),
    ],
)
def test_bad_job_ids(value: Any, shown: str) -> None:
    """Anything else is refused, named, and shown if it is short."""
    expected = f"job_id must be 1 to 256 letters, digits, '.', '_' or '-', not {shown}"
    with pytest.raises(ValueError, match=message(expected)):
        check_job_id(value)


def test_routing_keys() -> None:
    """A routing key is 1 to 64 of A-Z a-z 0-9 _ -, and None is the flat lists."""
    assert check_routing_key("gpu_A-1") == "gpu_A-1"
    assert check_routing_key("k" * 64) == "k" * 64
    assert check_routing_key(None) is None


@pytest.mark.parametrize("value", ["", "k" * 65, "a.b", "a b", "gpu\n", "\u00e9", 1, b"gpu", True])
def test_bad_routing_keys(value: Any) -> None:
    """Anything else is refused, and named."""
    with pytest.raises(ValueError, match="^routing_key must be 1 to 64 letters, digits, '_' or"):
        check_routing_key(value)


@pytest.mark.parametrize("value", ["", "bananas:", "a|b~!z", "\\"])
def test_key_prefixes(value: str) -> None:
    """A prefix is printable ASCII, or empty."""
    assert check_key_prefix(value) == value


@pytest.mark.parametrize("value", ["a b", "{a}", "a}", "\u00e9", "a\n", "\x7f", None, b"a"])
def test_bad_key_prefixes(value: Any) -> None:
    """Spaces, braces and whatever isn't printable ASCII are refused."""
    with pytest.raises(ValueError, match="^key_prefix must be printable ASCII without spaces"):
        check_key_prefix(value)


def test_names() -> None:
    """A name is any text but the empty one."""
    assert check_name("send_email") == "send_email"
    assert check_name(" \U0001f34c ") == " \U0001f34c "


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", "name must not be empty: it tells the worker which handler to run"),
        (" \t", "name must not be empty: it tells the worker which handler to run"),
        (None, "name must be a string, not NoneType"),
        (["send_email"], "name must be a string, not list"),
        ("ab\ud800", "name contains a lone surrogate at position 2, which Go can't read"),
    ],
)
def test_bad_names(value: Any, expected: str) -> None:
    """The message says what is wrong with a name."""
    with pytest.raises(ValueError, match=message(expected)):
        check_name(value)


def test_text() -> None:
    """Text may be empty, and may hold anything that UTF-8 can carry."""
    assert check_text("", "description") == ""
    assert check_text("\x00\uffff\U0001f34c", "description") == "\x00\uffff\U0001f34c"
    with pytest.raises(ValueError, match="^description must be a string, not bytes$"):
        check_text(b"x", "description")


def test_integers() -> None:
    """A whole number fits 64 bits and is not below its floor."""
    assert check_integer(0, "max_retries", at_least=0) == 0
    assert check_integer(MAX_INT64, "max_retries", at_least=0) == MAX_INT64


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-1, "max_retries must be from 0 to 2**63 - 1, not -1"),
        (2**63, "max_retries must be from 0 to 2**63 - 1, not 9223372036854775808"),
        pytest.param(
            10**5000, "max_retries must be from 0 to 2**63 - 1, not a huge int", id="5,000 digits"
        ),
        (True, "max_retries must be a whole number, not True"),
        (1.0, "max_retries must be a whole number, not 1.0"),
        ("3", "max_retries must be a whole number, not '3'"),
        (None, "max_retries must be a whole number, not NoneType"),
    ],
)
def test_bad_integers(value: Any, expected: str) -> None:
    """What Go's int would not take is refused."""
    with pytest.raises(ValueError, match=message(expected)):
        check_integer(value, "max_retries", at_least=0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(0, 0.0), (1.5, 1.5), (timedelta(minutes=2), 120.0), (timedelta.max, 86399999999999.999999)],
)
def test_seconds(value: Any, seconds: float) -> None:
    """A span is a number of seconds or a timedelta."""
    assert check_seconds(value, "timeout") == seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-0.1, "timeout must be 0 or more and finite, not -0.1"),
        (float("nan"), "timeout must be 0 or more and finite, not nan"),
        (float("inf"), "timeout must be 0 or more and finite, not inf"),
        (10**400, "timeout must be 0 or more and finite, not a huge int"),
        pytest.param(
            10**5000, "timeout must be 0 or more and finite, not a huge int", id="5,000 digits"
        ),
        (timedelta(seconds=-1), "timeout must be 0 or more and finite, not -1 day, 23:59:59"),
        ("30", "timeout must be seconds or a timedelta, not '30'"),
        (True, "timeout must be seconds or a timedelta, not True"),
        (None, "timeout must be seconds or a timedelta, not NoneType"),
    ],
)
def test_bad_seconds(value: Any, expected: str) -> None:
    """Negative, endless and typeless spans are refused."""
    with pytest.raises(ValueError, match=message(expected)):
        check_seconds(value, "timeout")


def test_timeouts() -> None:
    """None is no limit, and so is more than a century."""
    assert check_timeout(None) is None
    assert check_timeout(30) == 30.0
    assert check_timeout(timedelta.max) is None
    assert check_timeout(1e300) is None


def test_ttls() -> None:
    """An expiry is rounded up to whole seconds."""
    assert check_ttl(timedelta(hours=1), "success_ttl") == 3600
    assert check_ttl(0.001, "success_ttl") == 1
    assert check_ttl(100 * 365 * 24 * 3600, "success_ttl") == 3153600000


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (timedelta(0), "0:00:00"), (1e12, "1000000000000.0")]
)
def test_bad_ttls(value: Any, shown: str) -> None:
    """An expiry at once, or after more than a century, is refused."""
    expected = f"success_ttl must be more than 0 and at most 100 years, not {shown}"
    with pytest.raises(ValueError, match=message(expected)):
        check_ttl(value, "success_ttl")


def test_due_times() -> None:
    """A job is due at an aware datetime, given back in UTC, or a span from now."""
    zone = timezone(timedelta(hours=5, minutes=30))
    due = due_time(datetime(2025, 1, 15, 16, tzinfo=zone), NOW)
    assert (due, due.tzinfo) == (NOW, UTC)
    assert due_time(timedelta(hours=1), NOW) == NOW + timedelta(hours=1)
    assert due_time(timedelta(0), NOW) == NOW


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            timedelta(seconds=-1),
            "scheduled_for must not be a negative timedelta, not -1 day, 23:59:59",
        ),
        (
            timedelta.max,
            "scheduled_for must be before the year 10000: 999999999 days, 23:59:59.999999 from now",
        ),
        (
            datetime(2025, 1, 15),
            "scheduled_for must be an aware datetime, not the naive 2025-01-15T00:00:00: "
            "give it a time zone, such as datetime.now(timezone.utc)",
        ),
        (
            60,
            "scheduled_for must be an aware datetime or a timedelta, not int: "
            "write timedelta(seconds=...)",
        ),
        ("2025-01-15T10:30:00Z", "scheduled_for must be an aware datetime or a timedelta, not str"),
        (
            datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
            "scheduled_for must be in the years 1 to 9999 in UTC",
        ),
        (
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
            "scheduled_for must be in the years 1 to 9999 in UTC",
        ),
    ],
)
def test_bad_due_times(value: Any, expected: str) -> None:
    """Naive, past and impossible times are refused, and the message says why."""
    with pytest.raises(ValueError, match=message(expected)):
        due_time(value, NOW)


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**400, 10**401)
    | st.floats()
    | st.text(st.characters(), max_size=300)
    | st.binary(max_size=20)
    | st.lists(st.integers(), max_size=2)
    | st.timedeltas()
    | st.datetimes(timezones=st.none() | st.just(timezone(timedelta(hours=14))))
)


@quickly
@given(ANYTHING)
@pytest.mark.parametrize(
    "check",
    [
        check_job_id,
        check_routing_key,
        check_key_prefix,
        check_name,
        check_timeout,
        lambda value: check_text(value, "text"),
        lambda value: check_integer(value, "number", at_least=0),
        lambda value: check_seconds(value, "span"),
        lambda value: check_ttl(value, "ttl"),
        lambda value: due_time(value, NOW),
    ],
)
def test_any_argument_is_taken_or_refused(check: Callable[[Any], Any], value: Any) -> None:
    """Whatever is passed is taken or refused with a ValueError that is short enough to read."""
    try:
        check(value)
    except ValueError as error:
        assert " must " in str(error) or " lies " in str(error) or " holds " in str(error)
        assert len(str(error)) < 250


class Route(str, enum.Enum):
    """An enum of strings, which prints as its member's name from Python 3.11 on."""

    REPORTS = "reports"


class Loud(str):
    """A string that prints as something else."""

    def __str__(self) -> str:
        return "LOUD"

    def __format__(self, spec: str) -> str:
        return "LOUD"


@pytest.mark.parametrize(
    "check", [check_job_id, check_routing_key, check_key_prefix, check_name, check_description]
)
@pytest.mark.parametrize("value", [Route.REPORTS, Loud("reports")])
def test_a_subclass_of_str_counts_as_its_text(check: Callable[[Any], Any], value: Any) -> None:
    """What is checked is what is written: a plain string, however its class prints."""
    assert type(check(value)) is str
    assert check(value) == "reports"


@pytest.mark.parametrize(
    ("check", "target"),
    [
        (check_job_id, "a"),
        (check_routing_key, "a"),
        (check_key_prefix, "a"),
        (check_name, "a"),
        (check_description, "a"),
        (check_priority, "high"),
        (check_priority, JobPriority.HIGH),
        (parse_url, "redis://h"),
        (AsyncClient, "redis://h"),
        (check_timeout, 1.5),
        (check_timeout, timedelta(1)),
        (lambda value: check_ttl(value, "success_ttl"), 60),
        (lambda value: check_integer(value, "max_retries", at_least=0), 3),
        (lambda value: due_time(value, NOW), timedelta(1)),
        (lambda value: due_time(value, NOW), NOW),
    ],
)
def test_lazy_proxies_are_refused(check: Callable[[Any], Any], target: Any) -> None:
    """A proxy is refused by its own type's name, whatever it says that it is."""
    with pytest.raises(ValueError, match=r"^\w+ must be .*, not Lazy$"):
        check(Lazy(target))


async def later() -> List[str]:
    """Return what would be a list of ids."""
    return ["a"]


async def _finished(call: Callable[[Any], Any], value: Any) -> None:
    result = call(value)
    if isawaitable(result):
        await result


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "NoneType"), (5, "int"), (later, "coroutine: is an await missing?")],
)
async def test_what_is_no_list(value: Any, kind: str) -> None:
    """Ids and specs that can't be iterated over are refused with the argument's name."""
    client = AsyncClient("redis://h")
    for argument, call in (
        ("job_ids must be a list of job ids", client.get_jobs),
        ("job_ids must be a list of job ids", client.get_results),
        ("job_ids must be a list of job ids", client.as_completed),
        ("specs must be a list of JobSpec", client.submit_jobs),
    ):
        given_value = value() if value is later else value
        with pytest.raises(ValueError, match=message(f"{argument}, not {kind}")):
            await _finished(call, given_value)
        if value is later:
            given_value.close()


def test_not_a_time() -> None:
    """A value like pandas.NaT, which is a datetime and equals nothing, is refused by name."""

    class NaTType(datetime):
        def __eq__(self, other: object) -> bool:
            return False

        def __ne__(self, other: object) -> bool:
            return True

        def utcoffset(self) -> timedelta:
            raise ValueError("NaTType does not support utcoffset")

    expected = "scheduled_for must be an aware datetime or a timedelta, not NaTType"
    with pytest.raises(ValueError, match=f"^{expected}$"):
        due_time(NaTType(2025, 1, 1), NOW)


def test_forgotten_await() -> None:
    """Where a coroutine is passed, the message asks for the await."""

    async def job_id() -> str:
        return "a"

    forgotten = job_id()
    with pytest.raises(ValueError, match=r"not coroutine: is an await missing\?$"):
        check_job_id(forgotten)
    with pytest.raises(ValueError, match=r"not coroutine: is an await missing\?$"):
        check_name(forgotten)
    forgotten.close()
