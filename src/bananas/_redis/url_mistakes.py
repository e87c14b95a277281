"""What people write in place of a Redis URL, and what to write instead."""

from __future__ import annotations

import re
import unicodedata

__all__ = [
    "ENCODE",
    "MANY_HOSTS",
    "UNFILLED",
    "UNIX",
    "Refused",
    "check_scheme",
    "check_text",
    "instead_of_option",
    "placeholder",
]

ENCODE = "encode ':', '@' and '/' in a password as %3A, %40 and %2F"
MANY_HOSTS = "names several hosts, or sentinels: give those to from_sentinel(...)"
UNFILLED = "(an unfilled placeholder?)"
UNIX = "a Unix socket is written unix:///run/redis.sock?db=0"
_START = "must start with redis://, rediss:// or unix://"
_EXAMPLE = ", such as redis://localhost:6379"
_LEAVE = "leave it out"

_QUOTES = "\"'`\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a"
#: Text that a template should have replaced; none of these forms is a likely password.
_PLACEHOLDER = re.compile(
    r"\$?\{\{[^{}]*\}\}|\$?\{[^{}]*\}|\$\([^()]*\)|<[^<>]*>|%[A-Za-z_]\w*%|\$[A-Z][A-Z0-9_]{2,}"
)

#: The schemes of other clients, by what ours are for them.
_SCHEMES = {
    "write rediss:// for TLS":
        "redis+tls redis+ssl redis-tls redis-ssl redistls redisssl valkeys valkey+tls valkey+ssl "
        "tls ssl stls aredis+ssl",
    "write redis:// for Valkey and plain TCP too":
        "valkey redis+tcp tcp aredis redis+redis redis3 redis2",
}  # fmt: skip

#: The options of other clients in small letters without '_' and '-', by what they are here.
_OPTIONS = {
    "write redis://user:password@host":
        "password auth username user pass passwd pwd authpassword requirepass acluser",
    "write /1 or ?db=1":
        "db database dbindex databaseindex virtualhost dbnumber dbnum databasenumber "
        "defaultdatabase select",
    MANY_HOSTS:
        "sentinel sentinels sentinelmasterid sentinelmaster sentinelname sentinelpassword "
        "sentinelusername sentinelkwargs sentineladdrs sentinelservicename master mastername "
        "masterset masterid servicename masterservice addr addrs hosts nodes",
    f"a Redis Cluster is not supported, and a URL that {MANY_HOSTS}":
        "cluster clustermode rediscluster clusterenabled isclustermode",
    "key_prefix is an argument of the client":
        "prefix keyprefix namespace ns globalkeyprefix",
    "time-outs are arguments of the client: connect_timeout, submit_timeout, read_timeout":
        "sockettimeout socketconnecttimeout timeout connecttimeout connectiontimeout readtimeout "
        "writetimeout submittimeout dialtimeout commandtimeout synctimeout responsetimeout "
        "idletimeout pooltimeout operationtimeout pinginterval safetyinterval",
    "write rediss:// and ?ssl_cert_reqs=none":
        "skipverify insecure insecureskipverify verify sslverify tlsskipverify tlsverify "
        "verifypeer tlsinsecure sslvalidate rejectunauthorized verifymode sslverifymode",
    _LEAVE:
        "decoderesponses protocol family maxconnections encoding encodingerrors retry retries "
        "retryontimeout retryonerror healthcheckinterval socketkeepalive socketkeepaliveoptions "
        "socketreadsize sockettype clientname name libname libversion poolsize maxclients "
        "maxpoolsize minpoolsize maxidle maxidleconns minidleconns maxactive maxretries "
        "poolmaxsize connectionpool singleconnectionclient resp lazyconnect enablereadycheck "
        "maxretriesperrequest connectionpoolkwargs parserclass healthcheck pool keepalive nodelay "
        "tcpnodelay enableofflinequeue connectionclass fakeredis debug type visibilitytimeout "
        "globalretry retryattempts",
    "pass an ssl.SSLContext to the client as ssl_context":
        "sslcacerts sslcertfile sslkeyfile sslcertreqs sslcheckhostname sslminversion sslciphers "
        "sslcapath sslcadata sslpassword sslkeyfilepassword sslvalidateocsp "
        "sslvalidateocspstapled sslocspcontext sslocspexpectedcert sslincludeverifyflags "
        "sslexcludeverifyflags sslversion sslcontext sslcert sslkey sslca sslmode sslprotocols "
        "sslhost tlsca tlscert tlskey tlscafile tlscertfile tlskeyfile tlsservername cacert cafile "
        "certfile keyfile servername sni sslservername tlscertificatefile tlscacertfile minversion "
        "tlsversion",
    "write rediss:// for TLS":
        "ssl tls usessl usetls sslenabled tlsenabled enabletls",
}  # fmt: skip
_INSTEAD = {name: hint for hint, names in _OPTIONS.items() for name in names.split()}


class Refused(Exception):
    """A part of a URL is wrong; the text follows the argument's name, and holds no secret."""


def check_text(url: str) -> None:
    """Refuse what can't be a URL, or is more than one.

    Raises:
        Refused: Says what has to go.
    """
    if not url.strip():
        raise Refused(f"is empty; it {_START}")
    if re.match(r"b['\"].*['\"]\Z", url):
        raise Refused("is the text of a bytes object: decode the bytes instead")
    for end, char in (("begins", url[0]), ("ends", url[-1])):
        if is_invisible(char) or char in _QUOTES:
            raise Refused(f"{end} with {_described(char)}")
    command = re.match(r"(redis-cli|valkey-cli)\b", url)
    if command:
        raise Refused(f"must be the URL alone, without '{command.group()} -u'")
    if re.match(r"(export\s+|set\s+)?\w{1,60}(\s*=|:\s)\s*['\"]?\w+://", url):
        raise Refused("must be the URL alone, without a variable's name and '='")
    blank = re.search(r"[\x00-\x20\x7f]", url)
    if blank:
        _refuse_blank(url, blank.start())


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
    for hint, schemes in _SCHEMES.items():
        if scheme in schemes.split():
            raise Refused(f"{_START}; {hint}")
    if scheme not in ("redis", "rediss", "unix"):
        raise Refused(_START + _EXAMPLE)
    if re.match(r"[A-Za-z][\w+.-]*://", rest):
        raise Refused("has its scheme twice")


def instead_of_option(name: str, value: str, scheme: str) -> str:
    """Say what to write instead of an option; an empty string where nobody knows it."""
    hint = _INSTEAD.get(name.lower().replace("_", "").replace("-", ""), "")
    if hint == "write rediss:// for TLS":
        if value.lower() in ("false", "no", "0", "off", "none"):
            return f"{_LEAVE}, and write redis:// for a connection without TLS"
        return _LEAVE if scheme == "rediss" else hint
    if hint.startswith("pass an ssl.SSLContext") and scheme != "rediss":
        return "write rediss:// for TLS"
    return hint


def placeholder(text: str) -> str:
    """Return the unfilled placeholder in some text, or an empty string."""
    found = _PLACEHOLDER.search(text)
    return found.group()[:60] if found else ""


def is_invisible(char: str) -> bool:
    """Whether a character shows nothing: a control or format character, or a blank."""
    return unicodedata.category(char)[0] in "CZ"


def _refuse_blank(url: str, place: int) -> None:
    before, after = url[:place], url[place:]
    what = _described(after[0])
    if "@" in after:
        raise Refused(f"holds {what} before its '@': write %{ord(after[0]):02X}")
    if after.lstrip().startswith("#"):
        raise Refused(f"must be the URL alone: it holds {what}, and a comment behind it")
    template = placeholder(url.rpartition("@")[2])
    if any(map(is_invisible, template)):
        raise Refused(f"has the host {template!r}, which is not a host name {UNFILLED}")
    if "," in before.rpartition("@")[2]:
        raise Refused(MANY_HOSTS)
    raise Refused(f"must be the URL alone: it holds {what}")


def _described(char: str) -> str:
    """Name a character that can't be shown, or should not be there."""
    if char in _QUOTES:
        return "a quotation mark"
    if char in "\r\n":
        return "a line break"
    if char in " \t":
        return "a blank"
    if char.isascii():
        return "a control character"
    return f"an invisible character (U+{ord(char):04X})"
