"""One frozen, validated settings object, from arguments, URLs, and the environment."""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional, Sequence, Tuple

from .._argument_checks import (
    check_callable,
    check_key_prefix,
    check_routing_key,
    check_seconds,
    check_ttl,
)
from .._types import Seconds
from .._wire import Default
from .credentials import CredentialProvider, check_provider
from .tls import TlsOptionError, make_context
from .url import Endpoint, check_host, ip_version, parse_url, read_url
from .url_mistakes import MANY_HOSTS, Refused

__all__ = ["DEFAULT_REDIS_URL", "ENVIRONMENT_URL", "Settings", "sentinel_endpoints"]

#: The variable that gives the URL where the caller passes none.
ENVIRONMENT_URL = "BANANAS_REDIS_URL"
#: The default port of a sentinel.
_SENTINEL_PORT = 26379
_PAIR = "must be a (host, port) pair"


class _Default(str):
    """A default that help() shows as its value, and that can be told from the same text passed."""


#: Used when neither an argument nor the environment gives a URL.
DEFAULT_REDIS_URL: str = _Default("redis://localhost:6379")


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
        ping_interval: Seconds of silence after which the pub/sub link gets a PING.
        safety_interval: Seconds between reads of results whose notification may have been lost.
        json_default: Converts what JSON has no form for in payloads; None refuses it.
        sentinels: Endpoints of the sentinels; empty without Sentinel.
        service_name: What the sentinels call the primary.
        credential_provider: What is asked for user and password of each connection to the primary.
        ssl_context: What TLS uses where a URL has no options of its own.
    """

    endpoint: Endpoint = field(default_factory=Endpoint)
    success_ttl: int = 3600
    failure_ttl: int = 24 * 3600
    key_prefix: str = "bananas:"
    routing_key: Optional[str] = None
    connect_timeout: float = 5.0
    submit_timeout: float = 10.0
    read_timeout: float = 10.0
    ping_interval: float = 5.0
    safety_interval: float = 2.0
    json_default: Optional[Default] = None
    sentinels: Tuple[Endpoint, ...] = ()
    service_name: str = ""
    credential_provider: Any = field(default=None, repr=False)
    ssl_context: Optional[ssl.SSLContext] = field(default=None, repr=False)

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
        json_default: Optional[Default] = None,
        sentinels: Sequence[Endpoint] = (),
        service_name: str = "",
        credential_provider: Optional[CredentialProvider] = None,
        ssl_context: Optional[ssl.SSLContext] = None,
        environment: Optional[Mapping[str, str]] = None,
    ) -> Settings:
        """Check every argument and read the URL, from the environment where none was passed.

        Raises:
            ValueError: An argument, or the environment's URL, is refused; the message says which.
        """
        endpoint, argument = _read(redis_url, os.environ if environment is None else environment)
        _check_login(credential_provider, argument, endpoint)
        _check_tls(ssl_context, argument, endpoint, sentinels)
        return cls(
            endpoint=endpoint,
            success_ttl=check_ttl(success_ttl, "success_ttl"),
            failure_ttl=check_ttl(failure_ttl, "failure_ttl"),
            key_prefix=check_key_prefix(key_prefix),
            routing_key=check_routing_key(routing_key),
            connect_timeout=_positive(connect_timeout, "connect_timeout"),
            submit_timeout=_positive(submit_timeout, "submit_timeout"),
            read_timeout=_positive(read_timeout, "read_timeout"),
            ping_interval=_positive(ping_interval, "ping_interval"),
            safety_interval=_positive(safety_interval, "safety_interval"),
            json_default=check_callable(json_default, "json_default"),
            sentinels=tuple(sentinels),
            service_name=service_name,
            credential_provider=credential_provider,
            ssl_context=ssl_context,
        )


def _read(redis_url: str, environment: Mapping[str, str]) -> Tuple[Endpoint, str]:
    """Read the URL, the environment's where none was passed, and say what it was passed as."""
    if redis_url is DEFAULT_REDIS_URL and environment.get(ENVIRONMENT_URL):
        return parse_url(environment[ENVIRONMENT_URL], ENVIRONMENT_URL), ENVIRONMENT_URL
    return parse_url(redis_url), "redis_url"


def sentinel_endpoints(sentinels: Any) -> Tuple[Endpoint, ...]:
    """Return the endpoints of sentinels, each a pair of host and port, or a URL.

    Raises:
        ValueError: One is neither; the message gives its place in the list.
    """
    found = []
    if isinstance(sentinels, Iterable) and not isinstance(sentinels, (str, bytes, dict)):
        for place, sentinel in enumerate(sentinels):
            try:
                found.append(_sentinel(sentinel))
            except Refused as refused:
                raise ValueError(f"sentinels[{place}] {refused}") from None
    if not found:
        raise ValueError("sentinels must be a list of (host, port) pairs or URLs, and not empty")
    return tuple(found)


def _sentinel(sentinel: Any) -> Endpoint:
    if issubclass(type(sentinel), str):
        return _sentinel_url(str.__str__(sentinel))
    if not issubclass(type(sentinel), (tuple, list)):
        raise Refused(f"{_PAIR} or a URL, not {type(sentinel).__name__}")
    if len(sentinel) != 2:
        raise Refused(f"{_PAIR} or a URL")
    host, port = sentinel
    if not issubclass(type(host), str) or not host:
        raise Refused(f"{_PAIR}, its host a string")
    host = str.__str__(host)
    bare = host[1:-1] if host[0] + host[-1] == "[]" else host
    if ip_version(bare) == 6:
        host = bare
    else:
        check_host(host, shown="@" not in host)
    if isinstance(port, str) and re.fullmatch("[0-9]{1,5}", port):
        port = int(port)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise Refused("must have a port from 1 to 65535")
    return Endpoint(host=host, port=int(port))


def _sentinel_url(url: str) -> Endpoint:
    try:
        return read_url(url, _SENTINEL_PORT)
    except Refused as refused:
        text, pair = str(refused), ", or be a pair (host, port)"
        if text.endswith(MANY_HOSTS):
            text = f"must start with redis:// or rediss://{pair}"
            if "," in url:
                text = "names several hosts: give each its own place in the list"
        elif "must start with" in text:
            text = text.partition(", such as")[0] + pair
        raise Refused(text) from None


def _check_login(provider: Optional[CredentialProvider], argument: str, endpoint: Endpoint) -> None:
    if provider is None:
        return
    check_provider(provider)
    if endpoint.username or endpoint.password:
        raise ValueError(f"credential_provider and a user or password in {argument}: give one")


def _check_tls(
    context: object, argument: str, endpoint: Endpoint, sentinels: Sequence[Endpoint]
) -> None:
    """Refuse what TLS can't use, before the first connection needs it."""
    named = {f"sentinels[{place}]": sentinel for place, sentinel in enumerate(sentinels)}
    for name, one in {argument: endpoint, **named}.items():
        if one.tls:
            try:
                make_context(dict(one.tls))
            except TlsOptionError as error:
                raise ValueError(f"{name} {error}") from None
    if context is None:
        return
    if not isinstance(context, ssl.SSLContext):
        raise ValueError(f"ssl_context must be an ssl.SSLContext, not {type(context).__name__}")
    if endpoint.tls:
        raise ValueError(f"ssl_context and ssl_ options in {argument}: give one")
    if not any(one.scheme == "rediss" for one in (endpoint, *sentinels)):
        raise ValueError(f"ssl_context needs a rediss:// URL as {argument}")


def _positive(value: Seconds, argument: str) -> float:
    seconds = check_seconds(value, argument)
    if not 0 < seconds <= 1e6:
        raise ValueError(
            f"{argument} must be more than 0 and at most 1,000,000 seconds, not {value!s}"
        )
    return seconds
