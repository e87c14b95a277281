"""What stands between a client and its server: names, addresses, TLS, credentials."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Tuple

import pytest
from redis.credentials import CredentialProvider

import bananas
from bananas import AsyncClient, AuthenticationError, Client
from tests.behaviour.tls import CERTIFICATE, TlsRelay
from tests.support import RedisServer, wait_until

from .running import Program

Make = Callable[..., Any]


async def reach(kind: str, url: str, **settings: Any) -> str:
    """Connect once and submit once; return what went wrong, or an empty string."""

    def block() -> None:
        with Client(url, **settings) as client:
            client.submit_job("work", 1)

    try:
        if kind == "sync":
            await asyncio.get_running_loop().run_in_executor(None, block)
        else:
            async with AsyncClient(url, **settings) as client:
                await client.submit_job("work", 1)
    except bananas.ConnectionError as error:
        return str(error)
    return ""


@pytest.fixture(params=["async", "sync"])
def kind(request: pytest.FixtureRequest) -> str:
    """Whether the client is the asyncio one or the blocking one."""
    return str(request.param)


# -- names and addresses -------------------------------------------------------------------------


@contextlib.contextmanager
def dropping() -> Iterator[int]:
    """Give a port of 127.0.0.2 that answers no attempt to connect: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def addresses(*pairs: Tuple[str, int]) -> Callable[..., List[Any]]:
    """Return a resolver that knows one host, with these addresses."""

    def resolve(*_: Any, **__: Any) -> List[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", pair) for pair in pairs]

    return resolve


async def test_first_address_that_drops_packets(
    kind: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next address is tried while the first one says nothing."""
    with dropping() as port:
        monkeypatch.setattr(
            socket, "getaddrinfo", addresses(("127.0.0.2", port), ("127.0.0.1", redis_server.port))
        )
        assert await reach(kind, "redis://cache.example", connect_timeout=20) == ""


async def test_all_addresses_refuse(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What all addresses have in common is said once."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setattr(socket, "getaddrinfo", addresses(("127.0.0.1", port), ("127.0.0.2", port)))
    error = await reach(kind, "redis://cache.example")
    assert error == "can't reach Redis at redis://cache.example:6379/0: connection refused"


async def test_addresses_that_fail_for_several_reasons(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Different reasons are all said."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    pairs = addresses(("127.0.0.1", port), ("255.255.255.255", port))
    monkeypatch.setattr(socket, "getaddrinfo", pairs)
    error = await reach(kind, "redis://cache.example")
    assert ": connection refused; " in error


async def test_silence_names_the_server(kind: str) -> None:
    """A time-out says which server did not answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        error = await reach(kind, url, connect_timeout=0.3)
    assert error == f"Redis at {url} did not answer within 0.3 s"


def test_reconnect_after_the_main_thread_has_ended(redis_server: RedisServer) -> None:
    """Host names are resolved when the main thread has ended, by both clients."""
    with Program("resolving", "after_main", str(redis_server.port)) as program:
        program.end_well()
        assert program.output == "done\n"


@pytest.mark.parametrize("client", ["async", "sync"])
def test_resolver_that_hangs(client: str) -> None:
    """A resolver that hangs costs the time-out, and does not keep the process from ending."""
    with Program("resolving", "hanging", client) as program:
        assert program.end_well() < 50
        assert "slow.example:6379/0" in program.output
        assert "within 0.5 s" in program.output


# -- servers that say something else -------------------------------------------------------------

OTHER = "what answers there does not speak Redis; for TLS write rediss://"
GREETINGS: Dict[str, Tuple[bytes, str]] = {
    "ssh": (b"SSH-2.0-OpenSSH_9.2 a-secret\r\n", OTHER),
    "smtp": (b"220 mail.example ESMTP a-secret\r\n", OTHER),
    "mysql": (b"J\x00\x00\x00\n8.0.36\x00a-secret", OTHER),
    "http": (b"HTTP/1.1 400 Bad Request\r\nServer: a-secret\r\n\r\n", OTHER),
    "alert": (b"\x15\x03\x01\x00\x02\x02\x46", OTHER),
    "protected mode": (b"-DENIED Redis is running in protected mode a-secret\r\n", "DENIED: it is "
                       "in protected mode, and accepts only local connections: give it a "
                       "password, or set protected-mode no"),
    "clients": (b"-ERR max number of clients reached\r\n",
                "the server has reached its maximum number of clients"),
    "nothing": (b"", "the connection was closed by the server during the handshake: is it a TLS "
                "port (write rediss:// for that), in protected mode, or at its maximum number of "
                "clients?"),
}  # fmt: skip


@contextlib.contextmanager
def greeting(words: bytes) -> Iterator[int]:
    """Give a port where every connection is told some words, and ends with a reset."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(words)
                        connection.recv(1)  # the rest is unread, so that closing resets

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.mark.parametrize("name", GREETINGS)
async def test_other_servers(kind: str, name: str) -> None:
    """What a server says before it ends the connection is understood, and not repeated."""
    words, reason = GREETINGS[name]
    with greeting(words) as port:
        error = await reach(kind, f"redis://127.0.0.1:{port}", connect_timeout=20)
    assert error == f"can't reach Redis at redis://127.0.0.1:{port}/0: {reason}"


@pytest.mark.parametrize("password", [None, "xyzzy"])
async def test_most_clients(kind: str, password: Any) -> None:
    """A server that has too many clients is said to have them."""
    with RedisServer(args=["--maxclients", "4"], password=password) as server:
        with server.connect() as redis, contextlib.ExitStack() as stack:

            def clients() -> int:
                return int(
                    redis.command("INFO", "clients").split(b"connected_clients:")[1].split()[0]
                )

            wait_until(lambda: clients() == 1, "the connections that started it are gone")
            for _ in range(3):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            wait_until(lambda: clients() == 4, "there are as many as it takes")
            error = await reach(kind, server.url())
    assert error.endswith("the server has reached its maximum number of clients")


# -- TLS -----------------------------------------------------------------------------------------


async def test_plain_text_to_a_tls_port(kind: str, redis_server: RedisServer) -> None:
    """A TLS port that is spoken to in clear is taken for one."""
    async with TlsRelay(redis_server.port) as relay:
        error = await reach(kind, f"redis://127.0.0.1:{relay.port}")
    assert "rediss://" in error.partition(": ")[2]


async def test_a_server_that_closes_during_the_tls_handshake(kind: str) -> None:
    """A connection that ends while TLS is agreed upon is said to, with what may be wrong."""
    with greeting(b"") as port:
        error = await reach(kind, f"rediss://127.0.0.1:{port}", connect_timeout=20)
    assert error == (
        f"can't reach Redis at rediss://127.0.0.1:{port}/0: the connection was closed by the "
        "server during the handshake: is it a port without TLS (write redis:// for that), or at "
        "its maximum number of clients?"
    )


async def test_tls_to_a_plain_port(kind: str, redis_server: RedisServer) -> None:
    """A plain port that is spoken to in TLS says nothing, and is said to be none for TLS."""
    url = f"rediss://127.0.0.1:{redis_server.port}/0"
    error = await reach(kind, url, connect_timeout=1)
    assert url in error
    assert "did not answer within 1 s" in error or "TLS" in error


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a key, an encrypted key, another key, and a signing request."""
    directory = tmp_path_factory.mktemp("tls")
    for command in (
        "openssl genrsa -out other.key 2048",
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=h -keyout k.key -out c.pem",
        "openssl rsa -in k.key -aes128 -passout pass:xyzzy -out enc.key",
        "openssl req -new -key k.key -subj /CN=h -out request.pem",
    ):
        subprocess.run(command.split(), cwd=directory, check=True, capture_output=True, timeout=60)
    (directory / "empty.pem").write_text("nothing")
    (directory / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END")
    return directory


WRONG_FILES = {
    "ssl_ca_certs={0}/none.pem": "option ssl_ca_certs names '{0}/none.pem', which can't be read: "
    "no such file or directory",
    "ssl_ca_certs={0}": "option ssl_ca_certs names '{0}', which can't be read: is a directory",
    "ssl_ca_certs={0}%00": "option ssl_ca_certs names '{0}\\x00', which can't be read: "
    "not a file's name",
    "ssl_ca_certs={0}/empty.pem": "option ssl_ca_certs names a file that holds no certificate in "
    "PEM form",
    "ssl_certfile={0}/c.pem": "option ssl_certfile names '{0}/c.pem', which holds no private key: "
    "name the key's file with ssl_keyfile",
    "ssl_certfile={0}/request.pem&ssl_keyfile={0}/k.key": "option ssl_certfile names a certificate "
    "signing request: name the certificate that the authority made of it",
    "ssl_certfile={0}/c.pem&ssl_keyfile={0}/none.key": "option ssl_keyfile names '{0}/none.key', "
    "which can't be read: no such file or directory",
    "ssl_certfile={0}/c.pem&ssl_keyfile={0}/other.key": "option ssl_keyfile names '{0}/other.key', "
    "whose key does not belong to the certificate of ssl_certfile",
    "ssl_certfile={0}/c.pem&ssl_keyfile={0}/empty.pem": "option ssl_keyfile names '{0}/empty.pem', "
    "which holds no private key in PEM form",
    "ssl_certfile={0}/c.pem&ssl_keyfile={0}/enc.key": "option ssl_keyfile names '{0}/enc.key', "
    "whose key is encrypted: decrypt it, or load it yourself and pass an ssl.SSLContext as "
    "ssl_context",
}


@pytest.mark.parametrize("options", WRONG_FILES)
@pytest.mark.parametrize("make", [AsyncClient, Client])
def test_wrong_files(files: Path, options: str, make: Make) -> None:
    """A file for TLS that can't be used is refused when the client is made, with its option."""
    with pytest.raises(ValueError, match="^redis_url option ssl_") as caught:
        make(f"rediss://localhost?{options.format(files)}")
    assert str(caught.value) == f"redis_url {WRONG_FILES[options].format(files)}"


@pytest.mark.parametrize("option", ["ssl_ca_certs={0}", "ssl_certfile={0}&ssl_keyfile={1}/k.key"])
@pytest.mark.parametrize("make", [AsyncClient, Client])
def test_broken_certificate(files: Path, option: str, make: Make) -> None:
    """A certificate that OpenSSL can't read is refused with OpenSSL's reason."""
    broken = files / "broken.pem"
    expected = f"^redis_url option ssl_ca_certs names '{broken}', which can't be used: [a-z0-9 ]+$"
    if "keyfile" in option:
        expected = f"^redis_url option ssl_keyfile names '{files}/k.key', which can't be used: "
    with pytest.raises(ValueError, match=expected):
        make(f"rediss://localhost?{option.format(broken, files)}")


async def test_context(kind: str, redis_server: RedisServer) -> None:
    """A context of the caller's own is used."""
    context = ssl.create_default_context(cafile=CERTIFICATE)
    async with TlsRelay(redis_server.port) as relay:
        url = f"rediss://localhost:{relay.port}"
        assert await reach(kind, url, ssl_context=context) == ""
        assert "certificate is not accepted" in await reach(kind, url)


# -- credentials that change ---------------------------------------------------------------------


class Rotating:
    """A provider that can change its mind, fail or hang, by its synchronous method."""

    def __init__(self, *given: str) -> None:
        self.given: Tuple[str, ...] = given
        self.asked = 0
        self.error: Any = None
        self.released = threading.Event()

    def get_credentials(self) -> Any:
        self.asked += 1
        if self.error == "hang":
            self.released.wait(60)
        elif self.error is not None:
            raise self.error
        return self.given


class AsyncRotating(Rotating):
    """The same, by its asynchronous method."""

    async def get_credentials_async(self) -> Any:
        self.asked += 1
        if self.error == "hang":
            await asyncio.sleep(60)
        elif self.error is not None:
            raise self.error
        return self.given

    def get_credentials(self) -> Any:
        raise AssertionError("the asynchronous method comes first")


class Inherited(CredentialProvider):
    """One that has redis-py's asynchronous method, which calls the other on the event loop."""

    def get_credentials(self) -> Any:
        assert threading.current_thread().name == "bananas credentials"
        return ("xyzzy",)


@pytest.fixture
async def guarded() -> AsyncIterator[RedisServer]:
    """A server with a password."""
    with RedisServer(password="xyzzy") as server:
        yield server


@pytest.mark.parametrize("make", [Rotating, AsyncRotating])
async def test_credentials_that_change(kind: str, guarded: RedisServer, make: Make) -> None:
    """Each new connection is made with the credentials of its moment."""
    url, provider = f"redis://127.0.0.1:{guarded.port}", make("xyzzy")
    assert await reach(kind, url, credential_provider=provider) == ""
    assert provider.asked
    guarded.command("ACL", "SETUSER", "me", "on", ">plugh", "~*", "&*", "+@all")
    provider.given = ("me", "plugh")
    assert await reach(kind, url, credential_provider=provider) == ""


async def test_credentials_that_change_while_connected(guarded: RedisServer) -> None:
    """A connection that is replaced is replaced with new credentials."""
    provider = AsyncRotating("xyzzy")
    async with AsyncClient(
        f"redis://127.0.0.1:{guarded.port}", credential_provider=provider
    ) as client:
        await client.submit_job("work", 1)
        guarded.command("ACL", "SETUSER", "me", "on", ">plugh", "~*", "&*", "+@all")
        provider.given = ("me", "plugh")
        guarded.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await client.submit_job("work", 2)


async def test_inherited_method(kind: str, guarded: RedisServer) -> None:
    """What redis-py's base class does is not taken for an asynchronous method."""
    url = f"redis://127.0.0.1:{guarded.port}"
    assert await reach(kind, url, credential_provider=Inherited()) == ""


@pytest.mark.parametrize("make", [Rotating, AsyncRotating])
@pytest.mark.parametrize(
    ("error", "given", "words"),
    [
        (RuntimeError("plugh"), (), "credential_provider raised RuntimeError"),
        ("hang", (), "credential_provider took more than 0.5 s"),
        (None, (), "credential_provider must return (password,) or (username, password), not 0 "
         "items"),
        (None, "plugh", "credential_provider must return (password,) or (username, password), as "
         "strings"),
        (None, (b"plugh",), "credential_provider must return (password,) or (username, password), "
         "as strings"),
    ],
)  # fmt: skip
async def test_provider_that_fails(
    kind: str, guarded: RedisServer, make: Make, error: Any, given: Any, words: str
) -> None:
    """A provider that fails or hangs is a typed error in time, without what it said."""
    url, provider = f"redis://127.0.0.1:{guarded.port}/0", make()
    provider.error, provider.given = error, given
    start = time.monotonic()
    message = await reach(kind, url, credential_provider=provider, connect_timeout=0.5)
    provider.released.set()
    # On a slow machine the call's own limit comes first.
    silence = f"Redis at {url} did not answer within 0.5 s"
    assert message in (f"can't log in to Redis at {url}: {words}", silence)
    assert error == "hang" or message != silence
    assert time.monotonic() - start < 30


async def test_refused_credentials(guarded: RedisServer) -> None:
    """What the server refuses is not shown."""
    client = AsyncClient(
        f"redis://127.0.0.1:{guarded.port}", credential_provider=Rotating("me", "plugh")
    )
    with pytest.raises(
        AuthenticationError, match="refuses what credential_provider gave"
    ) as caught:
        await client.connect()
    await client.close()
    assert "plugh" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "settings", "words"),
    [
        ("redis://:xyzzy@h", {"credential_provider": Rotating()},
         "credential_provider and a user or password in redis_url: give one"),
        ("redis://h", {"credential_provider": "xyzzy"},
         "credential_provider must have a method get_credentials or get_credentials_async"),
        ("redis://h", {"credential_provider": Rotating},
         "credential_provider must have a method get_credentials or get_credentials_async"),
        ("redis://h", {"ssl_context": ssl.create_default_context()},
         "ssl_context needs a rediss:// URL as redis_url"),
        ("rediss://h", {"ssl_context": True}, "ssl_context must be an ssl.SSLContext, not bool"),
        ("rediss://h?ssl_cert_reqs=none", {"ssl_context": ssl.create_default_context()},
         "ssl_context and ssl_ options in redis_url: give one"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("make", [AsyncClient, Client])
def test_settings_that_contradict(
    url: str, settings: Dict[str, Any], words: str, make: Make
) -> None:
    """Settings that can't both count are refused."""
    with pytest.raises(ValueError, match="^(credential_provider|ssl_context) ") as caught:
        make(url, **settings)
    assert str(caught.value) == words


# -- sentinels -----------------------------------------------------------------------------------


async def test_sentinel_that_is_none(redis_server: RedisServer) -> None:
    """What is wrong with a sentinel is said of the sentinel."""
    with greeting(b"") as silent, greeting(b"SSH-2.0\r\n") as other:
        client = AsyncClient.from_sentinel(
            [("127.0.0.1", silent), f"redis://127.0.0.1:{other}", ("127.0.0.1", redis_server.port)],
            "primary",
            "rediss://",
            connect_timeout=20,
        )
        with pytest.raises(bananas.ConnectionError, match="^no sentinel names a primary") as caught:
            await client.connect()
        await client.close()
    text = str(caught.value)
    assert f"can't reach the sentinel at redis://127.0.0.1:{silent}/0: the connection was" in text
    assert f"can't reach the sentinel at redis://127.0.0.1:{other}/0: {OTHER}" in text
    assert f"the sentinel at redis://127.0.0.1:{redis_server.port}/0 refuses" in text


def test_sentinels_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentinel given by name listens on its own port unless another one is given."""
    monkeypatch.setattr(socket, "getaddrinfo", addresses(("127.0.0.1", 1)))
    with pytest.raises(bananas.ConnectionError, match="the sentinel at redis://s.example:26379/0"):
        Client.from_sentinel(["redis://s.example"], "primary")
