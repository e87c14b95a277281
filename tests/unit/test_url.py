"""URLs as people write them, and what is said of wrong ones."""

from __future__ import annotations

import enum
import re
from typing import Any, List, Tuple
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bananas._redis.settings import sentinel_endpoints
from bananas._redis.url import Endpoint, parse_url
from tests.unit.strategies import quickly

TLS = "rediss://localhost?"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("redis://", Endpoint()),
        ("redis://localhost", Endpoint()),
        ("redis://example.org:7000/3", Endpoint(host="example.org", port=7000, db=3)),
        ("REDIS://example.org", Endpoint(host="example.org")),
        ("redis://h/", Endpoint(host="h")),
        ("redis://h?db=4", Endpoint(host="h", db=4)),
        ("redis:///1", Endpoint(db=1)),
        ("redis://@h", Endpoint(host="h")),
        ("redis://h:26379", Endpoint(host="h", port=26379)),
        ("redis://h:26379/1", Endpoint(host="h", port=26379, db=1)),
        (f"redis://{'a.' * 126}b", Endpoint(host=f"{'a.' * 126}b")),
        ("redis://h:/2", Endpoint(host="h", db=2)),
        ("redis://[::1]", Endpoint(host="::1")),
        ("redis://[::1]:7000/1", Endpoint(host="::1", port=7000, db=1)),
        ("redis://:secret@h", Endpoint(host="h", password="secret")),
        ("redis://me:secret@h", Endpoint(host="h", username="me", password="secret")),
        ("redis://me:@h", Endpoint(host="h", username="me")),
        ("redis://m%40e:s%3A%2F%40%23%C3%A9@h",
         Endpoint(host="h", username="m@e", password="s:/@#\u00e9")),
        ("redis://me:a@b@h", Endpoint(host="h", username="me", password="a@b")),
        ("redis://:a]bc@h", Endpoint(host="h", password="a]bc")),
        ("redis://me:a[b]c@h", Endpoint(host="h", username="me", password="a[b]c")),
        ("redis://redis_1.my-net.:7", Endpoint(host="redis_1.my-net.", port=7)),
        ("redis://m\u00fcnchen.example", Endpoint(host="m\u00fcnchen.example")),
        ("redis://[fe80::1%25eth0]", Endpoint(host="fe80::1%eth0")),
        ("rediss://h:7000", Endpoint(scheme="rediss", host="h", port=7000)),
        ("unix:///run/redis.sock", Endpoint(scheme="unix", host="", path="/run/redis.sock")),
        ("unix:///run/a@b.sock", Endpoint(scheme="unix", host="", path="/run/a@b.sock")),
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
    assert parse_url(f"{TLS}ssl_check_hostname=Yes").tls == (("ssl_check_hostname", True),)
    url = f"{TLS}ssl_ca_certs=/ca.pem&ssl_cert_reqs=CERT_NONE&ssl_check_hostname=no&ssl_certfile=/c"
    assert dict(parse_url(url).tls) == {
        "ssl_ca_certs": "/ca.pem",
        "ssl_certfile": "/c",
        "ssl_cert_reqs": "none",
        "ssl_check_hostname": False,
    }


START = "must start with redis://, rediss:// or unix://"
ENCODE = "encode ':', '@' and '/' in a password as %3A, %40 and %2F"
STRAY = (
    "has an '@' behind a '/', '?' or '#'; encode those in a password as %2F, %3F and %23, "
    "and an '@' as %40"
)
MANY = "names several hosts, or sentinels: give those to from_sentinel(...)"
UNIX = "a Unix socket is written unix:///run/redis.sock?db=0"
ADDRESS = "has a malformed IPv6 address; write it as [::1]"
DATABASE = "must end in a database number, as in redis://localhost:6379/0"
SOCKET = "must name the socket's absolute path: unix:///run/redis.sock"
PORT = "must have a port from 1 to 65535"
COLONS = "has more than one ':' in its host; write an IPv6 address as [::1]"
USER = (
    "has a user name but no password: write redis://user:password@..., redis://:password@... "
    "for a password alone, redis://user:@... for a user without one"
)
QUOTED = "begins with a quotation mark"
UNFILLED = "which is not a host name (an unfilled placeholder?)"
TIMES = "time-outs are arguments of the client: connect_timeout, submit_timeout, read_timeout"
VARIABLE = "must be the URL alone, without a variable's name and '='"
UNKNOWN = (
    "has an option that is not known in a redis:// URL: leave it out, and write '?' in a "
    "password as %3F"
)


def option(name: str, hint: str, scheme: str = "redis") -> str:
    """Return the message about an option that is another client's."""
    return f"option {name!r} is not known in a {scheme}:// URL; {hint}"


REFUSED = {
    # Text around it.
    "": f"is empty; it {START}",
    " \n": f"is empty; it {START}",
    "redis://h\n": "ends with a line break",
    "redis://:secret@h:6379/0\r\n": "ends with a line break",
    "redis://h ": "ends with a blank",
    "redis://h\t": "ends with a blank",
    " redis://h": "begins with a blank",
    "\nredis://h": "begins with a line break",
    "\ufeffredis://h": "begins with an invisible character (U+FEFF)",
    "redis://h\u200b": "ends with an invisible character (U+200B)",
    "redis://h\xa0": "ends with an invisible character (U+00A0)",
    "redis://h\x00": "ends with a control character",
    "redis://h:6379/0 # production":
        "must be the URL alone: it holds a blank, and a comment behind it",
    "redis://a b": "must be the URL alone: it holds a blank",
    "redis://a\nredis://b": "must be the URL alone: it holds a line break",
    "redis://:a b@h": "holds a blank before its '@': write %20",
    "redis://:a\nb@h": "holds a line break before its '@': write %0A",
    "redis-cli --tls -u redis://h": "must be the URL alone, without 'redis-cli -u'",
    "redis-cli -u redis://:s3cr3t@h": "must be the URL alone, without 'redis-cli -u'",
    "valkey-cli -u redis://h": "must be the URL alone, without 'valkey-cli -u'",
    "REDIS_URL=redis://:s3cr3t@h": VARIABLE,
    "export REDIS_URL='redis://h": VARIABLE,
    "url: redis://h": VARIABLE,
    '"redis://h"': QUOTED,
    "'redis://:s3cr3t@h:6379'": QUOTED,
    "\u201credis://h\u201d": QUOTED,
    "`redis://h`": QUOTED,
    'redis://h"': "ends with a quotation mark",
    "b'redis://h'": "is the text of a bytes object: decode the bytes instead",
    # Schemes.
    "http://h": f"{START}, such as redis://localhost:6379",
    "h:6379": f"{START}, such as redis://localhost:6379",
    "redis:h": f"{START}, such as redis://localhost:6379",
    "redis:/h": f"{START}; {UNIX}",
    "redis//h": f"{START}, such as redis://localhost:6379",
    "mysql://u:s3cr3t@h": f"{START}, such as redis://localhost:6379",
    "/run/redis.sock": f"{START}; {UNIX}",
    "unix:/run/redis.sock": f"{START}; {UNIX}",
    "redis+socket:///run/redis.sock": f"{START}; {UNIX}",
    "redis+unix:///run/redis.sock": f"{START}; {UNIX}",
    "redis-socket:///run/redis.sock": f"{START}; {UNIX}",
    "unix+redis:///run/redis.sock": f"{START}; {UNIX}",
    "redis:///run/redis.sock": f"names no host; {UNIX}",
    "redis:///var/run/r.sock?db=1": "names the database twice, in its path and in ?db=",
    "redis+ssl://h": f"{START}; write rediss:// for TLS",
    "redis+tls://h:6380": f"{START}; write rediss:// for TLS",
    "valkeys://h": f"{START}; write rediss:// for TLS",
    "valkey://h": f"{START}; write redis:// for Valkey and plain TCP too",
    "tcp://h:6379": f"{START}; write redis:// for Valkey and plain TCP too",
    "redis://redis://h": "has its scheme twice",
    "redis://rediss://:s3cr3t@h:6379": "has its scheme twice",
    "rediss://https://h": "has its scheme twice",
    # Several hosts.
    "sentinel://a:26379": MANY,
    "sentinel://a:26379;sentinel://b:26379": MANY,
    "redis-sentinel://a:26379,b:26379/mymaster/0": MANY,
    "redis+sentinel://:s3cr3t@a:26379/mymaster": MANY,
    "redis://h1:1,h2:2": MANY,
    "redis://h1,h2/0": MANY,
    "redis://:s3cr3t@h1:1,h2:2,h3:3": MANY,
    "redis://h1:6379,redis://h2:6379": MANY,
    "redis://h1:6379,redis://:s3cr3t@h2:6379": MANY,
    "redis://h1:6379, h2:6379": MANY,
    "redis://:s3cr3t@h1:1,:s3cr3t@h2:2":
        f"{MANY}; write '@' and ',' in a password as %40 and %2C",
    "redis://s1:26379/mymaster": MANY,
    "redis://h?sentinel=mymaster": option("sentinel", MANY),
    "redis://h?sentinelMasterId=m": option("sentinelMasterId", MANY),
    "redis://h?master_name=m": option("master_name", MANY),
    "redis+cluster://h":
        "is the URL of a Redis Cluster, which is not supported: use a single primary (redis://) "
        "or Sentinel (from_sentinel)",
    # Hosts.
    "redis://cache..example": "has a host that is not a host name",
    "redis://:s3cr3t@cache..example:6379/0":
        "has the host 'cache..example', which is not a host name",
    f"redis://:pw@{'a' * 64}.example":
        f"has the host '{'a' * 64}.example', which is not a host name",
    "redis://:pw@.example": "has the host '.example', which is not a host name",
    "redis://:pw@a$b": "has the host 'a$b', which is not a host name",
    "redis://:pw@a<b": "has the host 'a<b', which is not a host name",
    "redis://:pw@a%2Fb": "has the host 'a/b', which is not a host name",
    "redis://:pw@a%b": "has the host 'a%b', which is not a host name",
    "redis://:pw@a%00b": "has the host 'a\\x00b', which is not a host name",
    "redis://:pw@a\u200bb": "has the host 'a\\u200bb', which is not a host name",
    "redis://:pw@a\xa0b": "has the host 'a\\xa0b', which is not a host name",
    f"redis://:pw@{'a.' * 126}bb":
        f"has the host {'a.' * 40!r}, which is not a host name",
    "redis://s3cr3t$word:1": "has a host that is not a host name",
    "redis://s3cr3t${A}b:1": "has a host that is not a host name",
    "redis://${REDIS_HOST}:6379/0": f"has the host '${{REDIS_HOST}}', {UNFILLED}",
    "redis://:pw@${REDIS_HOST}": f"has the host '${{REDIS_HOST}}', {UNFILLED}",
    "redis://$REDIS_HOST:6379": f"has the host '$REDIS_HOST', {UNFILLED}",
    "redis://:pw@cache.${ENV}.example": f"has the host 'cache.${{ENV}}.example', {UNFILLED}",
    "redis://{host}:6379": f"has the host '{{host}}', {UNFILLED}",
    "redis://{{ host }}:6379": f"has the host '{{{{ host }}}}', {UNFILLED}",
    "redis://<host>": f"has the host '<host>', {UNFILLED}",
    "redis://%REDIS_HOST%:1": f"has the host '%REDIS_HOST%', {UNFILLED}",
    "redis://:pw@${REDIS_HOST:-localhost}:6379":
        "has '${REDIS_HOST:-localhost}' in its host or port (an unfilled placeholder?)",
    "redis://[::1": ADDRESS,
    "redis://[::1]x": ADDRESS,
    "redis://[localhost]:1": ADDRESS,
    "redis://a:b:c": COLONS,
    "redis://::1": COLONS,
    "redis://:pw@a:b:c": f"{COLONS}, and {ENCODE}",
    # Ports and databases.
    "redis://h:s3cr3t": "has a port that is not a number",
    "redis://user:s3cr3t": "has a port that is not a number",
    "redis://:pw@h:port": "has the port 'port', which is not a number",
    "redis://h:{port}": "has a port that is not a number (an unfilled placeholder?)",
    "redis://user:<s3cr3t>": "has a port that is not a number (an unfilled placeholder?)",
    "redis://:$S3CR3T": "has a port that is not a number (an unfilled placeholder?)",
    "redis://:pw@h:{port}":
        "has the port '{port}', which is not a number (an unfilled placeholder?)",
    "redis://:pw@h:${PORT}/0":
        "has the port '${PORT}', which is not a number (an unfilled placeholder?)",
    "redis://h:0": PORT,
    "redis://h:65536": PORT,
    f"redis://h:{'1' * 5000}": PORT,
    "redis://h:-1": "has a port that is not a number",
    "redis://h:\u0661": "has a port that is not a number",
    "redis://h/one": DATABASE,
    "redis://h/-1": DATABASE,
    "redis://h/0/1": DATABASE,
    "redis://h/9999999999": DATABASE,
    "redis://h?db=one": DATABASE,
    "redis://h/1?db=1": "names the database twice, in its path and in ?db=",
    # Credentials.
    "redis://me@h": USER,
    "redis://s3cr3t@h:6379/0": USER,
    "rediss://[s3cr3t]@h": USER,
    "redis://:%FF@h": "is not a valid URL: bad percent-encoding",
    "redis://:pass/word@h": STRAY,
    "redis://:pass?word@h": STRAY,
    "redis://:pass?word=1&a=@h": STRAY,
    "redis://:pass#word@h": STRAY,
    "unix://:pass?word@/s": STRAY,
    "unix://h/s": SOCKET,
    "unix://run/redis.sock": SOCKET,
    "unix://": SOCKET,
    "redis://h#1": "must not have a #fragment; write '#' in a password as %23",
    "rediss://h#insecure": "must not have a #fragment: write rediss:// and ?ssl_cert_reqs=none",
    # Options.
    "redis://h:6379?s3cr3t": UNKNOWN,
    "redis://h:6379?s3cr3t=1&s3cr3t=2": "gives an option twice",
    "redis://h?db=1&db=2": "gives the option 'db' twice",
    "redis://h?retry=3": option("retry", "leave it out"),
    "redis://h?decode_responses=True": option("decode_responses", "leave it out"),
    "redis://h?max_connections=10": option("max_connections", "leave it out"),
    "redis://h?protocol=3": option("protocol", "leave it out"),
    "redis://h?ssl=true": option("ssl", "write rediss:// for TLS"),
    "redis://h?tls": option("tls", "write rediss:// for TLS"),
    **{
        f"redis{s}://h?ssl={no}": option(
            "ssl", "leave it out, and write redis:// for a connection without TLS", f"redis{s}"
        )
        for s in ("", "s")
        for no in ("False", "no", "0", "off", "none")
    },
    "rediss://h?ssl=true": option("ssl", "leave it out", "rediss"),
    "redis://h?ssl_ca_certs=/ca": option("ssl_ca_certs", "write rediss:// for TLS"),
    "redis://h?ssl_cert_reqs=none": option("ssl_cert_reqs", "write rediss:// for TLS"),
    TLS + "ssl_min_version=TLSv1_3":
        option("ssl_min_version", "pass an ssl.SSLContext to the client as ssl_context", "rediss"),
    "redis://h?password=s3cr3t": option("password", "write redis://user:password@host"),
    "redis://h?auth=s3cr3t": option("auth", "write redis://user:password@host"),
    "redis://h?username=me": option("username", "write redis://user:password@host"),
    "redis://h?database=1": option("database", "write /1 or ?db=1"),
    "redis://h?dbIndex=1": option("dbIndex", "write /1 or ?db=1"),
    "redis://h?virtual_host=1": option("virtual_host", "write /1 or ?db=1"),
    "redis://h?key_prefix=x": option("key_prefix", "key_prefix is an argument of the client"),
    "redis://h?prefix=x": option("prefix", "key_prefix is an argument of the client"),
    "redis://h?socket_timeout=5": option("socket_timeout", TIMES),
    "redis://h?connectTimeout=5": option("connectTimeout", TIMES),
    "redis://h?connect-timeout=5": option("connect-timeout", TIMES),
    "rediss://h?skipVerify=true":
        option("skipVerify", "write rediss:// and ?ssl_cert_reqs=none", "rediss"),
    "unix:///s?retry=3": option("retry", "leave it out", "unix"),
    TLS + "ssl_cert_reqs=maybe": "option ssl_cert_reqs must be required, optional or none",
    TLS + "ssl_check_hostname=maybe": "option ssl_check_hostname must be true or false",
    TLS + "ssl_ca_certs=": "option ssl_ca_certs must be a file of CA certificates",
    TLS + "ssl_keyfile=/k":
        "option ssl_keyfile needs ssl_certfile, the certificate that the key is for",
    TLS + "ssl_cert_reqs=none&ssl_check_hostname=true":
        "option ssl_check_hostname can't be true with ssl_cert_reqs=none",
}  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_wrong_urls(url: str) -> None:
    """A wrong URL is refused with the reason and what to do."""
    with pytest.raises(ValueError, match=f"^redis_url {re.escape(REFUSED[url])}$") as caught:
        parse_url(url)
    assert "s3cr3t" not in str(caught.value)


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


@pytest.mark.parametrize(
    ("sentinels", "host", "port"),
    [
        ([("h", 26380)], "h", 26380),
        ([["h", "26380"]], "h", 26380),
        ([("::1", 1)], "::1", 1),
        ([("[::1]", 1)], "::1", 1),
        (["redis://h"], "h", 26379),
        (["rediss://:secret@h:7"], "h", 7),
        (iter([("h", 1)]), "h", 1),
    ],
)
def test_sentinels(sentinels: Any, host: str, port: int) -> None:
    """A sentinel is a pair or a URL, and listens on 26379 unless a URL says otherwise."""
    (endpoint,) = sentinel_endpoints(sentinels)
    assert (endpoint.host, endpoint.port) == (host, port)


def test_sentinel_of_a_subclass() -> None:
    """A host that is a member of an enumeration counts as its value."""

    class Host(str, enum.Enum):
        A = "s1.example.org"

    (endpoint,) = sentinel_endpoints([(Host.A, 26379)])
    assert str(endpoint) == "redis://s1.example.org:26379/0"


LIST = "sentinels must be a list of (host, port) pairs or URLs, and not empty"
WRONG_SENTINELS: List[Tuple[Any, str]] = [
    ([], LIST),
    ("h:1", LIST),
    (b"h:1", LIST),
    ({"h": 1}, LIST),
    (None, LIST),
    (["host:26379"], f"sentinels[0] {START}, or be a pair (host, port)"),
    ([("h", 1), "h"], f"sentinels[1] {START}, or be a pair (host, port)"),
    (["redis://a,b"], "sentinels[0] names several hosts: give each its own place in the list"),
    (["redis://[::1"], f"sentinels[0] {ADDRESS}"),
    (
        ["sentinel://h:1"],
        "sentinels[0] must start with redis:// or rediss://, or be a pair (host, port)",
    ),
    ([{"host": "h", "port": 1}], "sentinels[0] must be a (host, port) pair or a URL, not dict"),
    ([("h",)], "sentinels[0] must be a (host, port) pair or a URL"),
    ([("h", 1, 2)], "sentinels[0] must be a (host, port) pair or a URL"),
    ([(1, "h")], "sentinels[0] must be a (host, port) pair, its host a string"),
    ([("", 1)], "sentinels[0] must be a (host, port) pair, its host a string"),
    ([("h", 65536)], "sentinels[0] must have a port from 1 to 65535"),
    ([("h", "\u0661")], "sentinels[0] must have a port from 1 to 65535"),
    ([("h", "1" * 5000)], "sentinels[0] must have a port from 1 to 65535"),
    ([("h", 0)], "sentinels[0] must have a port from 1 to 65535"),
    ([("h", "port")], "sentinels[0] must have a port from 1 to 65535"),
    ([("h", True)], "sentinels[0] must have a port from 1 to 65535"),
    ([("a,b", 1)], "sentinels[0] has the host 'a,b', which is not a host name"),
    ([("${HOST}", 1)], f"sentinels[0] has the host '${{HOST}}', {UNFILLED}"),
    ([("u:secret@h", 1)], "sentinels[0] has a host that is not a host name"),
]  # fmt: skip


@pytest.mark.parametrize(("sentinels", "message"), WRONG_SENTINELS)
def test_wrong_sentinels(sentinels: Any, message: str) -> None:
    """What is no list of sentinels is refused with the place of the wrong one."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        sentinel_endpoints(sentinels)
