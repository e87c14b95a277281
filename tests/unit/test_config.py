"""Settings from arguments, a URL and the environment."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Dict, Optional
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bananas._config import DEFAULT_REDIS_URL, ENVIRONMENT_URL, Endpoint, Settings, parse_url
from tests.unit.strategies import quickly

ARGUMENTS: Dict[str, Any] = {
    "key_prefix": "bananas:",
    "routing_key": None,
    "connect_timeout": 5.0,
    "submit_timeout": 10.0,
    "read_timeout": 10.0,
    "ping_interval": 5.0,
    "safety_interval": 2.0,
}
TLS = "rediss://localhost?"


def created(
    url: str = DEFAULT_REDIS_URL, success_ttl: Any = 3600, failure_ttl: Any = 86400, **changes: Any
) -> Settings:
    """Return settings made with the defaults, and with no environment unless it is given."""
    environment = changes.pop("environment", {})
    arguments = {**ARGUMENTS, **changes}
    return Settings.create(url, success_ttl, failure_ttl, environment=environment, **arguments)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("redis://", Endpoint()),
        ("redis://localhost", Endpoint()),
        ("redis://example.org:7000/3", Endpoint(host="example.org", port=7000, db=3)),
        ("REDIS://example.org", Endpoint(host="example.org")),
        ("redis://h/", Endpoint(host="h")),
        ("redis://h?db=4", Endpoint(host="h", db=4)),
        ("redis://h:/2", Endpoint(host="h", db=2)),
        ("redis://[::1]", Endpoint(host="::1")),
        ("redis://[::1]:7000/1", Endpoint(host="::1", port=7000, db=1)),
        ("redis://:secret@h", Endpoint(host="h", password="secret")),
        ("redis://me:secret@h", Endpoint(host="h", username="me", password="secret")),
        ("redis://me:@h", Endpoint(host="h", username="me")),
        ("redis://m%40e:s%3A%2F%40%23%C3%A9@h",
         Endpoint(host="h", username="m@e", password="s:/@#\u00e9")),
        ("redis://me:a@b@h", Endpoint(host="h", username="me", password="a@b")),
        ("rediss://h:7000", Endpoint(scheme="rediss", host="h", port=7000)),
        ("unix:///run/redis.sock", Endpoint(scheme="unix", host="", path="/run/redis.sock")),
        ("unix:///run/a%20b.sock?db=2",
         Endpoint(scheme="unix", host="", path="/run/a b.sock", db=2)),
        ("unix://me:secret@/run/r.sock",
         Endpoint(scheme="unix", host="", path="/run/r.sock", username="me", password="secret")),
    ],
)  # fmt: skip
def test_urls(url: str, endpoint: Endpoint) -> None:
    """Every form of a URL is read."""
    assert parse_url(url) == endpoint


def test_tls_options() -> None:
    """A rediss:// URL takes the options that TLS has."""
    url = f"{TLS}ssl_ca_certs=/ca.pem&ssl_cert_reqs=none&ssl_check_hostname=False&ssl_certfile=/c"
    assert dict(parse_url(url).tls) == {
        "ssl_ca_certs": "/ca.pem",
        "ssl_certfile": "/c",
        "ssl_cert_reqs": "none",
        "ssl_check_hostname": False,
    }


ENCODE = "encode ':', '@' and '/' in a password as %3A, %40 and %2F"
STRAY = (
    "redis_url has an '@' behind a '/', '?' or '#'; encode those in a password as %2F, %3F and "
    "%23, and an '@' as %40"
)
REFUSED = {
    "http://h": "redis_url must start with redis://, rediss:// or unix://",
    "h:6379": "redis_url must start with redis://, rediss:// or unix://",
    "": "redis_url must start with redis://, rediss:// or unix://",
    "redis:h": "redis_url must start with redis://, rediss:// or unix://",
    "redis://h\n": "redis_url must not hold spaces or control characters: encode them as %20",
    "redis://a b": "redis_url must not hold spaces or control characters: encode them as %20",
    "redis://h:port": f"redis_url must have a port from 1 to 65535; {ENCODE}",
    "redis://h:0": f"redis_url must have a port from 1 to 65535; {ENCODE}",
    "redis://h:65536": f"redis_url must have a port from 1 to 65535; {ENCODE}",
    "redis://h:\u0661": f"redis_url must have a port from 1 to 65535; {ENCODE}",
    "redis://:pass/word@h": STRAY,
    "redis://:pass?word@h": STRAY,
    "redis://:pass?word=1&a=@h": STRAY,
    "redis://:pass#word@h": STRAY,
    "unix://:pass?word@/s": STRAY,
    "redis://a:b:c": "redis_url has more than one ':' in its host; write an IPv6 address as "
                     f"[::1], and {ENCODE}",
    "redis://me@h": "redis_url has a user name but no password: write redis://user:password@...",
    "redis://:%FF@h": "redis_url is not a valid URL: bad percent-encoding",
    "redis://[::1": "redis_url has a malformed IPv6 address; write it as [::1]",
    "redis://[::1]x": "redis_url has a malformed IPv6 address; write it as [::1]",
    "redis://h#1": "redis_url must not have a #fragment; write '#' in a password as %23",
    "redis://h/one": "redis_url must end in a database number, as in redis://localhost:6379/0",
    "redis://h/-1": "redis_url must end in a database number, as in redis://localhost:6379/0",
    "redis://h/9999999999": "redis_url must end in a database number, as in "
                            "redis://localhost:6379/0",
    "redis://h/1?db=1": "redis_url names the database twice, in its path and in ?db=",
    "redis://h?db=1&db=2": "redis_url gives the option 'db' twice",
    "redis://h?retry=3": "redis_url option 'retry' is not known in a redis:// URL; "
                         "time-outs and such are arguments of the client",
    "redis://h?ssl_ca_certs=/ca": "redis_url option 'ssl_ca_certs' is not known in a redis:// URL; "
                                  "time-outs and such are arguments of the client",
    "unix:///s?retry=3": "redis_url option 'retry' is not known in a unix:// URL; "
                         "time-outs and such are arguments of the client",
    "unix://h/s": "redis_url must name the socket's absolute path: unix:///run/redis.sock",
    "unix://": "redis_url must name the socket's absolute path: unix:///run/redis.sock",
    TLS + "ssl_cert_reqs=maybe":
        "redis_url option ssl_cert_reqs must be required, optional or none",
    TLS + "ssl_check_hostname=maybe": "redis_url option ssl_check_hostname must be true or false",
    TLS + "ssl_ca_certs=": "redis_url option ssl_ca_certs must be a file of CA certificates",
}  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_wrong_urls(url: str) -> None:
    """A wrong URL is refused with the reason and what to do."""
    with pytest.raises(ValueError, match=f"^{re.escape(REFUSED[url])}$"):
        parse_url(url)


def test_url_of_another_type() -> None:
    """Only strings are URLs."""
    with pytest.raises(ValueError, match="^redis_url must be a string, not bytes$"):
        parse_url(b"redis://h")


@quickly
@given(st.text(st.characters(blacklist_categories=("Cs",)), min_size=1), st.sampled_from("u:"))
def test_encoded_credentials(password: str, prefix: str) -> None:
    """Any password arrives as it is when it is percent-encoded."""
    username = None if prefix == ":" else "u"
    url = f"redis://{username or ''}:{quote(password, safe='')}@h"
    endpoint = parse_url(url)
    assert (endpoint.username, endpoint.password, endpoint.host) == (username, password, "h")


@quickly
@example("9999@/", "unix://u:{}@/s")
@given(
    st.text(st.sampled_from("Zq9/@:#?&=%[] \n\\'\""), min_size=6),
    st.sampled_from(["redis://u:{}@h", "redis://:{}@h:70/1", "rediss://{}@h", "unix://u:{}@/s"]),
)
def test_no_message_shows_a_password(password: str, form: str) -> None:
    """A password that was not encoded may end up anywhere, but in no message and no repr."""
    try:
        endpoint = parse_url(form.format(f"Zq9{password}9qZ"))
        shown = f"{endpoint!r}{endpoint}".replace(repr(endpoint.username), "")
    except ValueError as error:
        hidden = error.__suppress_context__
        shown = f"{error}{error.__cause__}{'' if hidden else error.__context__}"
    assert "9qZ" not in shown
    assert "Zq9" not in shown


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (Endpoint(), "redis://localhost:6379/0"),
        (Endpoint(username="me", password="secret"), "redis://localhost:6379/0"),
        (Endpoint(scheme="rediss", host="h", port=7, db=3), "rediss://h:7/3"),
        (Endpoint(host="::1"), "redis://[::1]:6379/0"),
        (Endpoint(scheme="unix", path="/s"), "unix:///s"),
        (Endpoint(scheme="unix", path="/s", db=2), "unix:///s?db=2"),
    ],
)
def test_endpoints_as_text(endpoint: Endpoint, text: str) -> None:
    """An endpoint is shown as a URL without credentials."""
    assert str(endpoint) == text
    assert "secret" not in repr(endpoint)


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
    expected = "^BANANAS_REDIS_URL must start with redis://, rediss:// or unix://$"
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
