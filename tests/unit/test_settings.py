"""Settings from arguments, a URL and the environment."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Dict, Optional

import pytest

from bananas._redis.settings import DEFAULT_REDIS_URL, ENVIRONMENT_URL, Settings
from bananas._redis.url import Endpoint

ARGUMENTS: Dict[str, Any] = {
    "key_prefix": "bananas:",
    "routing_key": None,
    "connect_timeout": 5.0,
    "submit_timeout": 10.0,
    "read_timeout": 10.0,
    "ping_interval": 5.0,
    "safety_interval": 2.0,
}


def created(
    url: str = DEFAULT_REDIS_URL, success_ttl: Any = 3600, failure_ttl: Any = 86400, **changes: Any
) -> Settings:
    """Return settings made with the defaults, and with no environment unless it is given."""
    environment = changes.pop("environment", {})
    arguments = {**ARGUMENTS, **changes}
    return Settings.create(url, success_ttl, failure_ttl, environment=environment, **arguments)


def test_settings() -> None:
    """Spans are kept in seconds, and expiries in whole ones, rounded up."""
    settings = created(
        "redis://h",
        timedelta(minutes=1),
        0.5,
        connect_timeout=timedelta(seconds=2),
        routing_key="e",
    )
    assert settings.endpoint == Endpoint(host="h")
    assert (settings.success_ttl, settings.failure_ttl) == (60, 1)
    assert (settings.connect_timeout, settings.routing_key) == (2.0, "e")


@pytest.mark.parametrize(
    ("url", "variable", "host"),
    [
        (DEFAULT_REDIS_URL, "redis://other", "other"),
        (DEFAULT_REDIS_URL, "", "localhost"),
        (DEFAULT_REDIS_URL, None, "localhost"),
        ("redis://localhost:6379", "redis://other", "localhost"),
        ("redis://mine", "redis://other", "mine"),
    ],
)
def test_environment(url: str, variable: Optional[str], host: str) -> None:
    """The environment counts where no URL is passed, be it the default's very text."""
    environment = {} if variable is None else {ENVIRONMENT_URL: variable}
    assert created(url, environment=environment).endpoint.host == host


def test_wrong_url_in_the_environment() -> None:
    """A wrong URL in the environment is blamed on its variable."""
    expected = "^BANANAS_REDIS_URL must start with redis://, rediss:// or unix://, such as"
    with pytest.raises(ValueError, match=expected):
        created(environment={ENVIRONMENT_URL: "http://h"})


SPANS = ["connect_timeout", "submit_timeout", "read_timeout", "ping_interval", "safety_interval"]


@pytest.mark.parametrize("argument", SPANS)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0, "must be more than 0 and at most 1,000,000 seconds, not 0"),
        (2e6, "must be more than 0 and at most 1,000,000 seconds, not 2000000.0"),
        (-1, "must be 0 or more and finite, not -1"),
        (float("nan"), "must be 0 or more and finite, not nan"),
        ("1", "must be seconds or a timedelta, not '1'"),
        (None, "must be seconds or a timedelta, not NoneType"),
    ],
)
def test_wrong_spans(argument: str, value: Any, reason: str) -> None:
    """A limit or an interval that can't be is refused by name."""
    with pytest.raises(ValueError, match=f"^{re.escape(f'{argument} {reason}')}$"):
        created(**{argument: value})


@pytest.mark.parametrize("argument", ["success_ttl", "failure_ttl"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0, "must be more than 0 and at most 100 years, not 0"),
        (timedelta(seconds=-1), "must be 0 or more and finite, not -1 day, 23:59:59"),
        (True, "must be seconds or a timedelta, not True"),
    ],
)
def test_wrong_expiries(argument: str, value: Any, reason: str) -> None:
    """An expiry that can't be is refused by name."""
    with pytest.raises(ValueError, match=f"^{re.escape(f'{argument} {reason}')}$"):
        created(**{argument: value})


def test_wrong_names() -> None:
    """A prefix or a routing key that can't be is refused by name."""
    with pytest.raises(ValueError, match="^key_prefix must be printable ASCII"):
        created(key_prefix="a b")
    with pytest.raises(ValueError, match="^routing_key must be 1 to 64 letters"):
        created(routing_key="a:b")
