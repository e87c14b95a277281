"""Reads a Redis URL as people write it, and says of a wrong one what to write instead."""

from __future__ import annotations

import ipaddress
import re
from typing import Dict, NamedTuple, Optional, Tuple
from urllib.parse import unquote

from .endpoint import Endpoint
from .url_options import read_options, refuse_rest, tls_options
from .url_text import check_scheme, check_text
from .url_words import ENCODE, MANY_HOSTS, UNFILLED, UNIX, Refused, is_invisible, placeholder

__all__ = ["check_host", "parse_url"]

_NO_DATABASE = "must end in a database number, as in redis://localhost:6379/0"
_NO_ADDRESS = "has a malformed IPv6 address; write it as [::1]"


class _Parts(NamedTuple):
    """A URL cut into its parts, none of them decoded."""

    scheme: str
    userinfo: Optional[str]
    address: str
    path: str
    query: str
    fragment: str


def parse_url(url: object, argument: str = "redis_url", default_port: int = 6379) -> Endpoint:
    """Read a Redis URL.

    Args:
        url: ``redis://[[user]:password@]host[:port][/db]``, ``rediss://`` for TLS, or
            ``unix://[[user]:password@]/path[?db=0]``; user and password percent-encoded.
        argument: What the URL is to the caller, for messages.
        default_port: The port of a URL that names none.

    Raises:
        ValueError: The URL is wrong. The message shows no part of it that may hold a password.
    """
    if not issubclass(type(url), str):  # a lazy proxy says that it is one
        raise ValueError(f"{argument} must be a string, not {type(url).__name__}")
    url = str.__str__(url)
    try:
        check_text(url)
        return _endpoint(_split(url), default_port)
    except UnicodeError:
        raise ValueError(f"{argument} is not a valid URL: bad percent-encoding") from None
    except Refused as refused:
        raise ValueError(f"{argument} {refused}") from None


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
        raise Refused(f"has the host {host[:80]!r}, which is no host name {UNFILLED}")
    if not _is_host(host):
        what = f"the host {host[:80]!r}, which" if shown else "a host that"
        raise Refused(f"has {what} is no host name")


def _split(url: str) -> _Parts:
    """Cut a URL into its parts; urllib's way depends on its version, and drops some characters."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if separator and re.search(r",[^@]*://", rest):
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
    options = read_options(parts.query)
    username, password = _credentials(parts.userinfo)
    if parts.fragment:
        raise Refused(
            "must not have a #fragment: write rediss:// and ?ssl_cert_reqs=none"
            if parts.fragment == "insecure"
            else "must not have a #fragment; write '#' in a password as %23"
        )
    if parts.scheme == "unix":
        path, db = _socket(parts, options)
        return Endpoint("unix", "", path=path, db=db, username=username, password=password)
    host, port = _host_and_port(parts, default_port)
    db = _database_of(parts, options)
    tls = tls_options(options) if parts.scheme == "rediss" else ()
    refuse_rest(options, parts.scheme)
    return Endpoint(parts.scheme, host, port, "", db, username, password, tls)


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


def _socket(parts: _Parts, options: Dict[str, str]) -> Tuple[str, int]:
    if parts.address or len(parts.path) < 2:
        raise Refused("must name the socket's absolute path: unix:///run/redis.sock")
    db = _database(options.pop("db", ""))
    refuse_rest(options, "unix")
    return unquote(parts.path), db


def _database_of(parts: _Parts, options: Dict[str, str]) -> int:
    path = parts.path.strip("/")
    if path and "db" in options:
        raise Refused("names the database twice, in its path and in ?db=")
    if not path:
        return _database(options.pop("db", ""))
    if not parts.address and not path.isdigit():
        raise Refused(f"names no host; {UNIX}")
    if re.search(r":26\d79$", parts.address) and not path[0].isdigit():
        raise Refused(MANY_HOSTS)
    return _database(path)


def _database(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Refused(_NO_DATABASE)
    return int(text)


def _host_and_port(parts: _Parts, default_port: int) -> Tuple[str, int]:
    address = parts.address
    # Before an '@' that is missing there may be a password.
    shown = parts.userinfo is not None
    if "," in address:
        raise Refused(MANY_HOSTS)
    if address.startswith("["):
        host, port = _bracketed(address)
    else:
        template = placeholder(address)
        host, _, port = address.partition(":")
        if template and ":" in template:
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


def _bracketed(address: str) -> Tuple[str, str]:
    host, bracket, rest = address[1:].partition("]")
    if not bracket or (rest and not rest.startswith(":")):
        raise Refused(_NO_ADDRESS)
    host = unquote(host)
    try:
        ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        raise Refused(_NO_ADDRESS) from None
    return host, rest[1:]


def _port(port: str, shown: bool) -> int:
    if not (port.isascii() and port.isdigit()):
        hint = f" {UNFILLED}" if placeholder(port) == port else ""
        if shown:
            raise Refused(f"has the port {port[:60]!r}, which is no number{hint}")
        raise Refused(f"has a port that is no number{hint}")  # it may be a password
    if len(port) > 5 or not 0 < int(port) < 65536:
        raise Refused("must have a port from 1 to 65535")
    return int(port)


def _is_host(host: str) -> bool:
    if host.isascii():
        fine = re.fullmatch(r"[A-Za-z0-9._-]+", host) is not None
    else:
        # The encoding of international names drops invisible characters without a word.
        fine = not any(is_invisible(char) or char == "\ufffd" for char in host)
        fine = fine and re.search(r"[^\w.\u3002-]", host) is None
    try:
        # An empty label, or one of more than 63 characters, is an error here.
        return fine and len(host.encode("idna")) <= 253
    except UnicodeError:
        return False
