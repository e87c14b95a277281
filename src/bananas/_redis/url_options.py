"""The options of a URL: reads the known ones, and says of others what to write instead."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple
from urllib.parse import parse_qsl

from .url_words import MANY_HOSTS, Refused

__all__ = ["read_options", "refuse_rest", "tls_options"]

_TLS_OPTIONS = {
    "ssl_ca_certs": "a file of CA certificates",
    "ssl_certfile": "a file with the client's certificate",
    "ssl_keyfile": "a file with the client's key",
    "ssl_cert_reqs": "required, optional or none",
    "ssl_check_hostname": "true or false",
}
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_OFF = ("false", "no", "0", "off", "none")

_CREDENTIALS = "write redis://user:password@host"
_DATABASE = "write /1 or ?db=1"
_ARGUMENTS = "time-outs are arguments of the client: connect_timeout, submit_timeout, read_timeout"
_NO_CHECK = "write rediss:// and ?ssl_cert_reqs=none"
_LEAVE = "leave it out"

#: What the options of other clients are here, by their names in small letters without '_' and '-'.
_HINTS: Dict[str, str] = {
    **dict.fromkeys(("password", "auth", "username", "user", "pass", "passwd", "pwd",
                     "authpassword", "requirepass", "acluser"), _CREDENTIALS),
    **dict.fromkeys(("db", "database", "dbindex", "databaseindex", "virtualhost", "dbnumber",
                     "dbnum", "databasenumber", "defaultdatabase", "select"), _DATABASE),
    **dict.fromkeys(("sentinel", "sentinels", "sentinelmasterid", "sentinelmaster", "sentinelname",
                     "sentinelpassword", "sentinelusername", "sentinelkwargs", "sentineladdrs",
                     "sentinelservicename", "master", "mastername", "masterset", "masterid",
                     "servicename", "masterservice", "addr", "addrs", "hosts", "nodes"),
                    MANY_HOSTS),
    **dict.fromkeys(("cluster", "clustermode", "rediscluster", "clusterenabled", "isclustermode"),
                    f"a Redis Cluster is not supported, and a URL that {MANY_HOSTS}"),
    **dict.fromkeys(("prefix", "keyprefix", "namespace", "ns", "globalkeyprefix"),
                    "key_prefix is an argument of the client"),
    **dict.fromkeys(("sockettimeout", "socketconnecttimeout", "timeout", "connecttimeout",
                     "connectiontimeout", "readtimeout", "writetimeout", "submittimeout",
                     "dialtimeout", "commandtimeout", "synctimeout", "responsetimeout",
                     "idletimeout", "pooltimeout", "operationtimeout", "pinginterval",
                     "safetyinterval"), _ARGUMENTS),
    **dict.fromkeys(("skipverify", "insecure", "insecureskipverify", "verify", "sslverify",
                     "tlsskipverify", "tlsverify", "verifypeer", "tlsinsecure", "sslvalidate",
                     "rejectunauthorized", "verifymode", "sslverifymode"), _NO_CHECK),
    **dict.fromkeys(("decoderesponses", "protocol", "family", "maxconnections", "encoding",
                     "encodingerrors", "retry", "retries", "retryontimeout", "retryonerror",
                     "healthcheckinterval", "socketkeepalive", "socketkeepaliveoptions",
                     "socketreadsize", "sockettype", "clientname", "name", "libname", "libversion",
                     "poolsize", "maxclients", "maxpoolsize", "minpoolsize", "maxidle",
                     "maxidleconns", "minidleconns", "maxactive", "maxretries", "poolmaxsize",
                     "connectionpool", "singleconnectionclient", "resp", "lazyconnect",
                     "enablereadycheck", "maxretriesperrequest", "connectionpoolkwargs",
                     "parserclass", "healthcheck", "pool", "keepalive", "nodelay", "tcpnodelay",
                     "enableofflinequeue", "connectionclass", "fakeredis", "debug", "type",
                     "visibilitytimeout", "globalretry", "retryattempts"), _LEAVE),
}  # fmt: skip


def read_options(query: str) -> Dict[str, str]:
    """Return a query's options.

    Raises:
        Refused: One is given twice.
    """
    options: Dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in options:
            shown = f"the option {name!r}" if _is_known(name) else "an option"
            raise Refused(f"gives {shown} twice")
        options[name] = value
    return options


def tls_options(options: Dict[str, str]) -> Tuple[Tuple[str, Any], ...]:
    """Take the options that TLS has out of all options, and return them.

    Raises:
        Refused: A value is wrong.
    """
    found = []
    for name, meaning in _TLS_OPTIONS.items():
        if name not in options:
            continue
        value = _tls_value(name, options.pop(name))
        if value is None or value == "":
            raise Refused(f"option {name} must be {meaning}")
        found.append((name, value))
    values = dict(found)
    if values.get("ssl_cert_reqs") == "none" and values.get("ssl_check_hostname"):
        raise Refused("option ssl_check_hostname can't be true with ssl_cert_reqs=none")
    if "ssl_keyfile" in values and "ssl_certfile" not in values:
        raise Refused("option ssl_keyfile needs ssl_certfile, the certificate that the key is for")
    return tuple(found)


def refuse_rest(options: Mapping[str, str], scheme: str) -> None:
    """Refuse options that were not taken; only the name of one that is known is shown.

    Raises:
        Refused: There is one.
    """
    for name, value in options.items():
        hint = _hint(name, value, scheme)
        if not hint:
            raise Refused(
                f"has an option that is not known in a {scheme}:// URL: leave it out, and write "
                "'?' in a password as %3F"
            )
        raise Refused(f"option {name!r} is not known in a {scheme}:// URL; {hint}")


def _tls_value(name: str, value: str) -> Any:
    if name == "ssl_check_hostname":
        return _BOOLEANS.get(value.lower())
    if name == "ssl_cert_reqs":
        word = value.lower()[5:] if value.lower().startswith("cert_") else value.lower()
        return word if word in ("required", "optional", "none") else None
    return value


def _is_known(name: str) -> bool:
    return bool(_hint(name, "", "redis"))


def _hint(name: str, value: str, scheme: str) -> str:
    """Say what to write instead of an option; an empty string where nobody knows it."""
    plain = name.lower().replace("_", "").replace("-", "")
    if plain in ("ssl", "tls", "usessl", "usetls", "sslenabled", "tlsenabled", "enabletls"):
        if value.lower() in _OFF:
            return f"{_LEAVE}, and write redis:// for a connection without TLS"
        return _LEAVE if scheme == "rediss" else "write rediss:// for TLS"
    if plain in _HINTS:
        return _HINTS[plain]
    if plain in _SSL:
        if scheme != "rediss":
            return "write rediss:// for TLS"
        return "pass an ssl.SSLContext to the client as ssl_context"
    return ""


#: Options for TLS of this and other clients.
_SSL = {option.replace("_", "") for option in _TLS_OPTIONS} | {
    "sslminversion", "sslciphers", "sslcapath", "sslcadata", "sslpassword", "sslkeyfilepassword",
    "sslvalidateocsp", "sslvalidateocspstapled", "sslocspcontext", "sslocspexpectedcert",
    "sslincludeverifyflags", "sslexcludeverifyflags", "sslversion", "sslcontext", "sslcert",
    "sslkey", "sslca", "sslmode", "sslprotocols", "sslhost", "tlsca", "tlscert", "tlskey",
    "tlscafile", "tlscertfile", "tlskeyfile", "tlsservername", "cacert", "cafile", "certfile",
    "keyfile", "servername", "sni", "sslservername", "tlscertificatefile", "tlscacertfile",
    "sslcacerts", "sslcertreqs", "minversion", "tlsversion",
}  # fmt: skip
