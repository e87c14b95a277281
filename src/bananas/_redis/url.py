"""Reads a Redis URL as people write it, and says of a wrong one what to write instead."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, Dict, NamedTuple, Optional, Tuple
from urllib.parse import parse_qsl, unquote

from .tls import tls_options
from .url_mistakes import (
    ENCODE,
    MANY_HOSTS,
    UNFILLED,
    UNIX,
    Refused,
    check_scheme,
    check_text,
    instead_of_option,
    placeholder,
)

__all__ = ["Endpoint", "check_host", "ip_version", "parse_url", "read_url"]


@dataclass(frozen=True)
class Endpoint:
    """Where a Redis server listens, and who we are to it.

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


class _Parts(NamedTuple):
    """A URL cut into its parts, none of them decoded."""

    scheme: str
    userinfo: Optional[str]
    address: str
    path: str
    query: str
    fragment: str


def parse_url(url: object, argument: str = "redis_url") -> Endpoint:
    """Read a Redis URL.

    Args:
        url: ``redis://[[user]:password@]host[:port][/db]``, ``rediss://`` for TLS, or
            ``unix://[[user]:password@]/path[?db=0]``; user and password percent-encoded.
        argument: What the URL is to the caller, for messages.

    Raises:
        ValueError: The URL is wrong. The message shows no part of it that may hold a password.
    """
    if not issubclass(type(url), str):  # a lazy proxy says that it is one
        raise ValueError(f"{argument} must be a string, not {type(url).__name__}")
    try:
        return read_url(str.__str__(url))
    except Refused as refused:
        raise ValueError(f"{argument} {refused}") from None


def read_url(url: str, default_port: int = Endpoint.port) -> Endpoint:
    """Do the same for a URL whose port may be another one where it names none.

    Raises:
        Refused: The URL is wrong.
    """
    check_text(url)
    try:
        return _endpoint(_split(url), default_port)
    except UnicodeError:
        raise Refused("is not a valid URL: bad percent-encoding") from None


def _split(url: str) -> _Parts:
    """Cut a URL into its parts; urllib's way depends on its version, and drops some characters."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if re.search(r",[^@]*://", rest):
        raise Refused(MANY_HOSTS)
    check_scheme(scheme, separator, rest)
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    netloc, slash, path = rest.partition("/")
    # A password that was not encoded ends early, and its rest must not be shown as an option.
    behind = query + fragment
    if scheme != "unix" or "@" in netloc:  # else a socket's path may hold it
        behind += path
    if "@" in behind:
        raise Refused(
            "has an '@' behind a '/', '?' or '#'; encode those in a password as "
            "%2F, %3F and %23, and an '@' as %40"
        )
    userinfo, at, address = netloc.rpartition("@")
    return _Parts(scheme, userinfo if at else None, address, slash + path, query, fragment)


def _endpoint(parts: _Parts, default_port: int) -> Endpoint:
    options = _options(parts.query)
    username, password = _credentials(parts.userinfo)
    if parts.fragment == "insecure":
        raise Refused("must not have a #fragment: write rediss:// and ?ssl_cert_reqs=none")
    if parts.fragment:
        raise Refused("must not have a #fragment; write '#' in a password as %23")
    host, port, path = "", Endpoint.port, ""
    tls: Tuple[Tuple[str, Any], ...] = ()
    if parts.scheme == "unix":
        if parts.address or len(parts.path) < 2:
            raise Refused("must name the socket's absolute path: unix:///run/redis.sock")
        path, db = unquote(parts.path), _number(options.pop("db", ""))
    else:
        host, port = _host_and_port(parts, default_port)
        db = _database(parts, options)
    if parts.scheme == "rediss":
        tls = tls_options(options)
    _refuse_rest(options, parts.scheme)
    return Endpoint(parts.scheme, host, port, path, db, username, password, tls)


def _options(query: str) -> Dict[str, str]:
    options: Dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in options:
            is_known = instead_of_option(name, "", "redis")
            raise Refused(f"gives {f'the option {name!r}' if is_known else 'an option'} twice")
        options[name] = value
    return options


def _refuse_rest(options: Dict[str, str], scheme: str) -> None:
    """Refuse options that were not taken; only the name of one that is known is shown."""
    for name, value in options.items():
        hint = instead_of_option(name, value, scheme)
        if hint:
            raise Refused(f"option {name!r} is not known in a {scheme}:// URL; {hint}")
        raise Refused(
            f"has an option that is not known in a {scheme}:// URL: leave it out, and write "
            "'?' in a password as %3F"
        )


def _credentials(userinfo: Optional[str]) -> Tuple[Optional[str], Optional[str]]:
    if userinfo is None:
        return None, None
    if re.search("@.*,", userinfo):
        raise Refused(f"{MANY_HOSTS}; write '@' and ',' in a password as %40 and %2C")
    username, colon, password = userinfo.partition(":")
    if username and not colon:
        raise Refused(
            "has a user name but no password: write redis://user:password@..., "
            "redis://:password@... for a password alone, redis://user:@... for a user without one"
        )
    return (unquote(username, errors="strict") or None, unquote(password, errors="strict") or None)


def _database(parts: _Parts, options: Dict[str, str]) -> int:
    path = parts.path.strip("/")
    if path and "db" in options:
        raise Refused("names the database twice, in its path and in ?db=")
    if path and not parts.address and not path.isdigit():
        raise Refused(f"names no host; {UNIX}")
    if re.match("[^0-9]", path) and re.search(r":26\d79$", parts.address):
        raise Refused(MANY_HOSTS)
    return _number(path or options.pop("db", ""))


def _number(text: str) -> int:
    """Return the number of a database."""
    if not re.fullmatch("[0-9]{0,9}", text):
        raise Refused("must end in a database number, as in redis://localhost:6379/0")
    return int(text or 0)


def _host_and_port(parts: _Parts, default_port: int) -> Tuple[str, int]:
    address = parts.address
    # Before an '@' that is missing there may be a password.
    shown = parts.userinfo is not None
    if "," in address:
        raise Refused(MANY_HOSTS)
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        host, port = unquote(host), rest[1:]
        if not bracket or rest[:1] not in ("", ":") or ip_version(host) != 6:
            raise Refused("has a malformed IPv6 address; write it as [::1]")
    else:
        host, _, port = address.partition(":")
        template = placeholder(address)
        if ":" in template:
            raise Refused(f"has {template!r} in its host or port {UNFILLED}")
        if ":" in port:
            encode = f", and {ENCODE}" if shown else ""
            raise Refused(
                f"has more than one ':' in its host; write an IPv6 address as [::1]{encode}"
            )
        host = unquote(host)
        if host:
            check_host(host, shown=shown)
    return host or "localhost", _port(port, shown) if port else default_port


def check_host(host: str, *, shown: bool) -> None:
    """Refuse what can't be a host name or an address.

    Args:
        host: The host, decoded, without brackets.
        shown: Whether it may be shown: no part of a password can stand here.

    Raises:
        Refused: It is none.
    """
    template = placeholder(host)
    if template and (shown or template == host):
        raise Refused(f"has the host {host[:80]!r}, which is not a host name {UNFILLED}")
    if not _is_host(host):
        what = f"the host {host[:80]!r}, which" if shown else "a host that"
        raise Refused(f"has {what} is not a host name")


def _port(port: str, shown: bool) -> int:
    if not re.fullmatch("[0-9]+", port):
        hint = f" {UNFILLED}" if placeholder(port) == port else ""
        what = f"the port {port[:60]!r}, which" if shown else "a port that"
        raise Refused(f"has {what} is not a number{hint}")
    if len(port) > 5 or not 0 < int(port) < 65536:
        raise Refused("must have a port from 1 to 65535")
    return int(port)


def ip_version(host: str) -> int:
    """Return 4 or 6 for an address, perhaps with a zone; 0 for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).version
    except ValueError:
        return 0


def _is_host(host: str) -> bool:
    # The encoding of international names drops invisible characters without a word: none is \w.
    if not re.fullmatch(r"[\w.\u3002-]+", host):
        return False
    try:
        # An empty label, or one of more than 63 characters, is an error here.
        return len(host.encode("idna")) <= 253
    except UnicodeError:
        return False
