"""Reads the sentinels that a caller names."""

from __future__ import annotations

import ipaddress
from typing import Any, Iterable, Tuple

from .endpoint import Endpoint
from .url import check_host, parse_url
from .url_words import MANY_HOSTS, Refused

__all__ = ["SENTINEL_PORT", "sentinel_endpoints"]

#: Where a sentinel listens unless it is told otherwise.
SENTINEL_PORT = 26379

_PAIR = "or be a pair (host, port)"


def sentinel_endpoints(sentinels: Any) -> Tuple[Endpoint, ...]:
    """Return the endpoints of sentinels, each a pair of host and port, or a URL.

    Raises:
        ValueError: One is neither; the message gives its place in the list.
    """
    if isinstance(sentinels, (str, bytes, dict)) or not isinstance(sentinels, Iterable):
        raise ValueError("sentinels must be a list of (host, port) pairs or URLs, and not empty")
    found = tuple(_endpoint(item, f"sentinels[{place}]") for place, item in enumerate(sentinels))
    if not found:
        raise ValueError("sentinels must be a list of (host, port) pairs or URLs, and not empty")
    return found


def _endpoint(sentinel: object, argument: str) -> Endpoint:
    if issubclass(type(sentinel), str):
        return _by_url(str.__str__(sentinel), argument)
    if not issubclass(type(sentinel), (tuple, list)):
        kind = type(sentinel).__name__
        raise ValueError(f"{argument} must be a (host, port) pair or a URL, not {kind}")
    assert isinstance(sentinel, (tuple, list))
    if len(sentinel) != 2:
        raise ValueError(f"{argument} must be a (host, port) pair or a URL")
    host, port = sentinel
    if not issubclass(type(host), str) or not host:
        raise ValueError(f"{argument} must be a (host, port) pair, its host a string")
    return Endpoint(host=_host(str.__str__(host), argument), port=_port(port, argument))


def _by_url(url: str, argument: str) -> Endpoint:
    try:
        return parse_url(url, argument, default_port=SENTINEL_PORT)
    except ValueError as error:
        text = str(error)
        if text.endswith(MANY_HOSTS):
            several = "," in url
            text = (
                f"{argument} names several hosts: give each its own place in the list"
                if several
                else f"{argument} must start with redis:// or rediss://, {_PAIR}"
            )
        elif "must start with" in text:
            text = f"{text.partition(', such as')[0]}, {_PAIR}"
        raise ValueError(text) from None


def _host(host: str, argument: str) -> str:
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        ipaddress.IPv6Address(bare.partition("%")[0])
    except ValueError:
        pass
    else:
        return bare
    try:
        check_host(host, shown="@" not in host)
    except Refused as refused:
        raise ValueError(f"{argument} {refused}") from None
    return host


def _port(port: object, argument: str) -> int:
    if isinstance(port, str) and port.isascii() and port.isdigit() and len(port) <= 5:
        port = int(port)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise ValueError(f"{argument} must have a port from 1 to 65535")
    return int(port)
