"""One frozen, validated settings object, from arguments, a URL, and the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple
from urllib.parse import parse_qsl, unquote, urlsplit

from ._arguments import check_key_prefix, check_routing_key, check_seconds, check_ttl
from ._types import Seconds

__all__ = ["DEFAULT_REDIS_URL", "ENVIRONMENT_URL", "Endpoint", "Settings", "parse_url"]

#: The variable that gives the URL where the caller passes none.
ENVIRONMENT_URL = "BANANAS_REDIS_URL"


class _Default(str):
    """A default that help() shows as its value, and that can be told from the same text passed."""


#: Used when neither an argument nor the environment gives a URL.
DEFAULT_REDIS_URL: str = _Default("redis://localhost:6379")

_SCHEMES = ("redis", "rediss", "unix")
_TLS_OPTIONS = {
    "ssl_ca_certs": "a file of CA certificates",
    "ssl_certfile": "a file with the client's certificate",
    "ssl_keyfile": "a file with the client's key",
    "ssl_cert_reqs": "required, optional or none",
    "ssl_check_hostname": "true or false",
}
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Endpoint:
    """Where Redis listens and who we are to it.

    Attributes:
        scheme: ``redis``, ``rediss`` (TLS) or ``unix``.
        host: Name or address of the server; empty for a Unix socket.
        port: TCP port.
        path: Path of a Unix socket; empty for TCP.
        db: Number of the logical database.
        username: ACL user; None is Redis's default user.
        password: Never shown.
        tls: The ``ssl_*`` options of a ``rediss`` URL.
    """

    scheme: str = "redis"
    host: str = "localhost"
    port: int = 6379
    path: str = ""
    db: int = 0
    username: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)
    tls: Tuple[Tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}?db={self.db}" if self.db else f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/{self.db}"


def parse_url(url: object, argument: str = "redis_url") -> Endpoint:
    """Read a Redis URL.

    Args:
        url: ``redis://[[user]:password@]host[:port][/db]``, ``rediss://`` for TLS, or
            ``unix://[[user]:password@]/path[?db=0]``; user and password percent-encoded.
        argument: What the URL is to the caller, for messages.

    Raises:
        ValueError: The URL is wrong. The message shows no part of it that may hold a password.
    """
    if not isinstance(url, str):
        raise ValueError(f"{argument} must be a string, not {type(url).__name__}")
    if any(ord(char) <= 32 or ord(char) == 127 for char in url):
        # urlsplit drops tabs and newlines without a word.
        raise ValueError(
            f"{argument} must not hold spaces or control characters: encode them as %20"
        )
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.lower() not in _SCHEMES:
        raise ValueError(f"{argument} must start with redis://, rediss:// or unix://")
    try:
        parts = urlsplit(url)
        # A password that was not encoded ends early, and its rest must not be shown as an option.
        behind = parts.query + parts.fragment
        if scheme.lower() != "unix" or "@" in parts.netloc:  # else a socket's path may hold it
            behind += parts.path
        if "@" in behind:
            raise ValueError(
                f"{argument} has an '@' behind a '/', '?' or '#'; encode those in a password as "
                "%2F, %3F and %23, and an '@' as %40"
            )
        options = _options(parts.query, argument)
        username, password = _credentials(parts.netloc, argument)
    except UnicodeError:
        raise ValueError(f"{argument} is not a valid URL: bad percent-encoding") from None
    except ValueError as error:
        if str(error).startswith(argument):
            raise
        # Which brackets urlsplit refuses depends on its version, and it refuses nothing else.
        raise ValueError(f"{argument} has a malformed IPv6 address; write it as [::1]") from None
    if parts.fragment:
        raise ValueError(f"{argument} must not have a #fragment; write '#' in a password as %23")
    if scheme.lower() == "unix":
        if parts.netloc.rpartition("@")[2] or len(parts.path) < 2:
            raise ValueError(
                f"{argument} must name the socket's absolute path: unix:///run/redis.sock"
            )
        db = _database(options.pop("db", ""), argument)
        _refuse_rest(options, argument, "a unix:// URL")
        path = unquote(parts.path)
        return Endpoint("unix", "", path=path, db=db, username=username, password=password)
    path = parts.path.strip("/")
    if path and "db" in options:
        raise ValueError(f"{argument} names the database twice, in its path and in ?db=")
    db = _database(path or options.pop("db", ""), argument)
    tls = _tls_options(options, argument) if scheme.lower() == "rediss" else ()
    _refuse_rest(options, argument, f"a {scheme.lower()}:// URL")
    host, port = _host_and_port(parts.netloc, argument)
    return Endpoint(
        scheme.lower(), host, port, db=db, username=username, password=password, tls=tls
    )


def _options(query: str, argument: str) -> Dict[str, str]:
    options: Dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in options:
            raise ValueError(f"{argument} gives the option {name[:40]!r} twice")
        options[name] = value
    return options


def _credentials(netloc: str, argument: str) -> Tuple[Optional[str], Optional[str]]:
    userinfo, at, _ = netloc.rpartition("@")
    if not at:
        return None, None
    username, colon, password = userinfo.partition(":")
    if username and not colon:
        raise ValueError(
            f"{argument} has a user name but no password: write redis://user:password@..."
        )
    return (unquote(username, errors="strict") or None, unquote(password, errors="strict") or None)


def _host_and_port(netloc: str, argument: str) -> Tuple[str, int]:
    address = netloc.rpartition("@")[2]
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{argument} has a malformed IPv6 address; write it as [::1]")
        port = rest[1:]
    else:
        host, _, port = address.partition(":")
        if ":" in port:
            raise ValueError(
                f"{argument} has more than one ':' in its host; write an IPv6 address as [::1], "
                "and encode ':', '@' and '/' in a password as %3A, %40 and %2F"
            )
    if not port:
        return unquote(host) or "localhost", 6379
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        # The port's text stays out of the message: a '/' in a password would put a part of it here.
        raise ValueError(
            f"{argument} must have a port from 1 to 65535; encode ':', '@' and '/' in a password "
            "as %3A, %40 and %2F"
        )
    return unquote(host) or "localhost", int(port)


def _database(text: str, argument: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError(
            f"{argument} must end in a database number, as in redis://localhost:6379/0"
        )
    return int(text)


def _tls_options(options: Dict[str, str], argument: str) -> Tuple[Tuple[str, Any], ...]:
    found = []
    for name, meaning in _TLS_OPTIONS.items():
        if name not in options:
            continue
        value: Any = options.pop(name)
        if name == "ssl_check_hostname":
            value = _BOOLEANS.get(value.lower())
        elif name == "ssl_cert_reqs" and value not in ("required", "optional", "none"):
            value = None
        if value is None or value == "":
            raise ValueError(f"{argument} option {name} must be {meaning}")
        found.append((name, value))
    return tuple(found)


def _refuse_rest(options: Mapping[str, str], argument: str, where: str) -> None:
    for name in options:
        raise ValueError(
            f"{argument} option {name[:40]!r} is not known in {where}; "
            "time-outs and such are arguments of the client"
        )


@dataclass(frozen=True)
class Settings:
    """All that a client can be told, checked.

    Attributes:
        endpoint: The Redis server; with sentinels, who we are to the primary.
        success_ttl: Expiry of a stored success, in seconds.
        failure_ttl: Expiry of a stored failure, in seconds.
        key_prefix: What every key starts with.
        routing_key: The route of jobs that name none; None for the flat lists.
        connect_timeout: Limit of one connection attempt, handshake included, in seconds.
        submit_timeout: Limit of a submit, reconnects included, in seconds.
        read_timeout: Limit of a read, reconnects included, in seconds.
        ping_interval: Seconds after which a silent pub/sub link is asked for a sign of life.
        safety_interval: Seconds between reads of results whose notification may have been lost.
        sentinels: Endpoints of the sentinels; empty without Sentinel.
        service_name: What the sentinels call the primary.
    """

    endpoint: Endpoint = Endpoint()
    success_ttl: int = 3600
    failure_ttl: int = 24 * 3600
    key_prefix: str = "bananas:"
    routing_key: Optional[str] = None
    connect_timeout: float = 5.0
    submit_timeout: float = 10.0
    read_timeout: float = 10.0
    ping_interval: float = 5.0
    safety_interval: float = 2.0
    sentinels: Tuple[Endpoint, ...] = ()
    service_name: str = ""

    @classmethod
    def create(
        cls,
        redis_url: str,
        success_ttl: Seconds,
        failure_ttl: Seconds,
        *,
        key_prefix: str,
        routing_key: Optional[str],
        connect_timeout: Seconds,
        submit_timeout: Seconds,
        read_timeout: Seconds,
        ping_interval: Seconds,
        safety_interval: Seconds,
        sentinels: Sequence[Endpoint] = (),
        service_name: str = "",
        environment: Optional[Mapping[str, str]] = None,
    ) -> Settings:
        """Check every argument and read the URL, from the environment where none was passed.

        Raises:
            ValueError: An argument, or the environment's URL, is refused; the message says which.
        """
        environment = os.environ if environment is None else environment
        argument = "redis_url"
        if redis_url is DEFAULT_REDIS_URL and environment.get(ENVIRONMENT_URL):
            redis_url, argument = environment[ENVIRONMENT_URL], ENVIRONMENT_URL
        return cls(
            endpoint=parse_url(redis_url, argument),
            success_ttl=check_ttl(success_ttl, "success_ttl"),
            failure_ttl=check_ttl(failure_ttl, "failure_ttl"),
            key_prefix=check_key_prefix(key_prefix),
            routing_key=check_routing_key(routing_key),
            connect_timeout=_positive(connect_timeout, "connect_timeout"),
            submit_timeout=_positive(submit_timeout, "submit_timeout"),
            read_timeout=_positive(read_timeout, "read_timeout"),
            ping_interval=_positive(ping_interval, "ping_interval"),
            safety_interval=_positive(safety_interval, "safety_interval"),
            sentinels=tuple(sentinels),
            service_name=service_name,
        )


def _positive(value: Seconds, argument: str) -> float:
    seconds = check_seconds(value, argument)
    if not 0 < seconds <= 1e6:
        raise ValueError(
            f"{argument} must be more than 0 and at most 1,000,000 seconds, not {value!s}"
        )
    return seconds
