"""Refuses text around a URL: line breaks, quotation marks, comments, commands, templates."""

from __future__ import annotations

import re

from .url_words import MANY_HOSTS, UNFILLED, UNIX, Refused, describe, is_invisible, placeholder

__all__ = ["check_scheme", "check_text"]

_QUOTES = "\"'`\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a"
_START = "must start with redis://, rediss:// or unix://"
_EXAMPLE = ", such as redis://localhost:6379"
_TLS_SCHEMES = (
    "redis+tls", "redis+ssl", "redis-tls", "redis-ssl", "redistls", "redisssl", "valkeys",
    "valkey+tls", "valkey+ssl", "tls", "ssl", "stls", "aredis+ssl",
)  # fmt: skip
_PLAIN_SCHEMES = ("valkey", "redis+tcp", "tcp", "aredis", "redis+redis", "redis3", "redis2")


def check_text(url: str) -> None:
    """Refuse what can't be a URL, or is more than one.

    Raises:
        Refused: Says what has to go.
    """
    if not url.strip():
        raise Refused(f"is empty; it {_START}")
    _check_ends(url)
    _check_wrapping(url)
    for place, char in enumerate(url):
        if ord(char) <= 32 or ord(char) == 127:
            _refuse_blank(url, place, char)


def check_scheme(scheme: str, separator: str, rest: str) -> None:
    """Refuse a scheme that is none of ours, with what to write instead.

    Raises:
        Refused: It is another's; the text shows none of it.
    """
    if not separator:
        is_path = scheme.startswith(("/", "unix:", "redis:/"))
        raise Refused(_START + (f"; {UNIX}" if is_path else _EXAMPLE))
    if "sentinel" in scheme:
        raise Refused(MANY_HOSTS)
    if "cluster" in scheme:
        raise Refused(
            "is the URL of a Redis Cluster, which is not supported: "
            "use a single primary (redis://) or Sentinel (from_sentinel)"
        )
    if scheme != "unix" and ("unix" in scheme or "socket" in scheme):
        raise Refused(f"{_START}; {UNIX}")
    if scheme in _TLS_SCHEMES:
        raise Refused(f"{_START}; write rediss:// for TLS")
    if scheme in _PLAIN_SCHEMES:
        raise Refused(f"{_START}; write redis:// for Valkey and plain TCP too")
    if scheme not in ("redis", "rediss", "unix"):
        raise Refused(_START + _EXAMPLE)
    if re.match(r"[A-Za-z][\w+.-]*://", rest):
        raise Refused("has its scheme twice")


def _check_ends(url: str) -> None:
    if is_invisible(url[0]):
        raise Refused(f"begins with {describe(url[0])}")
    if is_invisible(url[-1]):
        raise Refused(f"ends with {describe(url[-1])}")
    if re.match(r"b['\"].*['\"]$", url):
        raise Refused("is the text of a bytes object: decode the bytes instead")
    for end, char in (("begins", url[0]), ("ends", url[-1])):
        if char in _QUOTES:
            raise Refused(f"{end} with a quotation mark")


def _check_wrapping(url: str) -> None:
    command = re.match(r"(redis-cli|valkey-cli)\b", url)
    if command:
        raise Refused(f"must be the URL alone, without '{command.group(1)} -u'")
    if re.match(r"(export\s+|set\s+)?\w{1,60}(\s*=|:\s)\s*['\"]?\w+://", url):
        raise Refused("must be the URL alone, without a variable's name and '='")


def _refuse_blank(url: str, place: int, char: str) -> None:
    what = describe(char)
    if "@" in url[place:]:
        encoded = "".join(f"%{byte:02X}" for byte in char.encode())
        raise Refused(f"holds {what} before its '@': write {encoded}")
    if url[place:].lstrip().startswith("#"):
        raise Refused(f"must be the URL alone: it holds {what}, and a comment behind it")
    template = placeholder(url.rpartition("@")[2])
    if any(is_invisible(inner) for inner in template):
        raise Refused(f"has the host {template!r}, which is no host name {UNFILLED}")
    if "," in url[:place].rpartition("@")[2]:
        raise Refused(MANY_HOSTS)
    raise Refused(f"must be the URL alone: it holds {what}")
