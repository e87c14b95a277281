"""One frozen, validated settings object, from arguments, a URL, and the environment."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence, Tuple

from .._arguments import (
    check_callable,
    check_key_prefix,
    check_routing_key,
    check_seconds,
    check_ttl,
)
from .._types import Seconds
from .._wire import Default
from .credentials import CredentialProvider, check_provider
from .endpoint import Endpoint
from .tls import TlsOptionError, make_context
from .url import parse_url

__all__ = ["DEFAULT_REDIS_URL", "ENVIRONMENT_URL", "Settings"]

#: The variable that gives the URL where the caller passes none.
ENVIRONMENT_URL = "BANANAS_REDIS_URL"


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
        ping_interval: Seconds after which a silent pub/sub link is asked for a sign of life.
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
        redis_url, argument = _url(redis_url, os.environ if environment is None else environment)
        endpoint, sentinels = parse_url(redis_url, argument), tuple(sentinels)
        _check_together(argument, endpoint, sentinels, credential_provider, ssl_context)
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
            sentinels=sentinels,
            service_name=service_name,
            credential_provider=credential_provider,
            ssl_context=ssl_context,
        )


def _url(redis_url: str, environment: Mapping[str, str]) -> Tuple[str, str]:
    """Return the URL, from the environment where none was passed, and what it was passed as."""
    if redis_url is DEFAULT_REDIS_URL and environment.get(ENVIRONMENT_URL):
        return environment[ENVIRONMENT_URL], ENVIRONMENT_URL
    return redis_url, "redis_url"


def _check_together(
    argument: str,
    endpoint: Endpoint,
    sentinels: Sequence[Endpoint],
    provider: Optional[CredentialProvider],
    context: Optional[ssl.SSLContext],
) -> None:
    """Refuse what does not go with the URL, or can't be used."""
    check_provider(provider)
    if provider is not None and (endpoint.username or endpoint.password):
        raise ValueError(f"credential_provider and a user or password in {argument}: give one")
    _check_tls(argument, endpoint, sentinels)
    _check_context(context, argument, endpoint, sentinels)


def _check_tls(argument: str, endpoint: Endpoint, sentinels: Sequence[Endpoint]) -> None:
    """Refuse files for TLS that can't be used, before the first connection needs them."""
    named = [(argument, endpoint)]
    named.extend((f"sentinels[{place}]", sentinel) for place, sentinel in enumerate(sentinels))
    for name, one in named:
        if one.tls:
            try:
                make_context(dict(one.tls))
            except TlsOptionError as error:
                raise ValueError(f"{name} {error}") from None


def _check_context(
    context: object, argument: str, endpoint: Endpoint, sentinels: Sequence[Endpoint]
) -> None:
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
