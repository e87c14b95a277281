"""How a client finds its server, and who it says it is."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Awaitable, Callable, Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bananas import AsyncClient, AuthenticationError, Client, ConnectionError
from tests.behaviour.broker import Broker
from tests.behaviour.conftest import Facade
from tests.behaviour.tls import CERTIFICATE, TlsRelay
from tests.support import FaultProxy, RedisServer
from tests.unit.strategies import quickly

Connect = Callable[..., Awaitable[Facade]]

SECRET = "s\u00e9cret:/?#@[]%25&=+ "


@pytest.fixture
def user(real_broker: Broker) -> Iterator[str]:
    """A user of the real Redis, with a password that has to be encoded."""
    real_broker.command(
        "ACL", "SETUSER", "m\u00e9:", "on", f">{SECRET}", "allkeys", "allchannels", "+@all"
    )
    yield "m\u00e9:"
    real_broker.command("ACL", "DELUSER", "m\u00e9:")


def with_login(url: str, user: str, password: str) -> str:
    """Return a URL with credentials, percent-encoded."""
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return url.replace("://", f"://{login}@", 1)


async def test_database(broker: Broker, connect: Connect) -> None:
    """The database of the URL is used, and no other."""
    client = await connect(broker.url.replace("/0", "/3"))
    job_id = await client.submit_job("work", 1)
    assert (await client.get_job(job_id)).payload == 1
    assert broker.keys() == []
    broker.command("SELECT", 3)
    assert broker.queued("queue:normal") == [job_id]
    broker.command("SELECT", 0)


async def test_database_that_is_not_there(real_broker: Broker, connect: Connect) -> None:
    """A database that the server does not have is refused, in one attempt."""
    expected = "refuses: (ERR )?DB index is out of range$"
    with pytest.raises(ConnectionError, match=expected) as caught:
        await connect(real_broker.url.replace("/0", "/99999"))
    assert caught.value.permanent


async def test_unix_socket(
    real_broker: Broker, redis_server: RedisServer, connect: Connect
) -> None:
    """A Unix socket serves as well as a port, for submits and for waits."""
    client = await connect(f"unix://{redis_server.unix_socket}?db=0")
    job_id = await client.submit_job("work", 1)
    real_broker.command("HSET", f"bananas:result:{job_id}", "status", "completed", "result", "7")
    assert (await client.wait_for_result(job_id)).get_result() == 7
    assert repr(client.inner).endswith(f"unix://{redis_server.unix_socket} routing_key=None>")


async def test_unix_socket_that_is_not_there(connect: Connect) -> None:
    """A Unix socket that is not there can't be reached."""
    expected = "^can't reach Redis at unix:///no/such/socket: no such file or directory$"
    with pytest.raises(ConnectionError, match=expected):
        await connect("unix:///no/such/socket")


async def test_user(user: str, real_broker: Broker, connect: Connect) -> None:
    """A user logs in with the password that the URL encodes."""
    client = await connect(with_login(real_broker.url, user, SECRET))
    job_id = await client.submit_job("work", 1)
    assert real_broker.queued("queue:normal") == [job_id]
    clients = real_broker.command("CLIENT", "LIST").decode()
    assert re.search(f"name=bananas .*user={user}", clients)


async def test_user_on_a_unix_socket(
    user: str, redis_server: RedisServer, real_broker: Broker, connect: Connect
) -> None:
    """Credentials stand before the path of a socket too."""
    client = await connect(with_login(f"unix://{redis_server.unix_socket}", user, SECRET))
    await client.submit_job("work", 1)


@pytest.mark.real_server
async def test_password_without_a_user(connect: Connect) -> None:
    """A password alone is that of the default user."""
    with RedisServer(password="pa:ss@word") as server:
        client = await connect(server.url())
        await client.submit_job("work", 1)
        await client.close()


@pytest.mark.parametrize(("name", "password"), [("m\u00e9:", "wrong-Zq9"), ("nobody", SECRET)])
async def test_wrong_login(
    user: str, real_broker: Broker, proxy: FaultProxy, connect: Connect, name: str, password: str
) -> None:
    """A wrong login fails in one attempt, with a message that has no password in it."""
    with pytest.raises(AuthenticationError, match=" refuses the user name or pass") as caught:
        await connect(with_login(proxy.url(), name, password))
    assert caught.value.permanent
    assert not any(code in str(caught.value) for code in ("NOAUTH", "WRONGPASS", "ERR"))
    assert proxy.connections_opened == 1
    assert password not in str(caught.value)
    assert quote(password, safe="") not in str(caught.value)


@pytest.mark.real_server
async def test_no_login(connect: Connect) -> None:
    """A server that wants a password, and gets none, refuses in one attempt."""
    with RedisServer(password="needed") as server:
        url = f"redis://127.0.0.1:{server.port}"
        expected = (
            f"^Redis at {url}/0 needs a password, but got none: put it into the URL, as in "
            "redis://:password@host, or redis://user:password@host for an ACL user$"
        )
        with pytest.raises(AuthenticationError, match=expected) as caught:
            await connect(url)
        assert caught.value.permanent


async def test_login_where_none_is_wanted(real_broker: Broker, connect: Connect) -> None:
    """A password for a server that wants none is refused by the server, and said to be."""
    with pytest.raises(AuthenticationError, match=" refuses the user name or password: "):
        await connect(real_broker.url.replace("://", "://:Zq9-secret@"))


@quickly
@given(
    password=st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=30)
    | st.text(st.sampled_from(":/?#@[]%&=+ \\'\"\n\t\x00"), min_size=1, max_size=10)
)
def test_any_password(redis_server: RedisServer, password: str) -> None:
    """Any password logs in when it is percent-encoded."""
    rules = ["reset", "on", f">{password}", "allkeys", "allchannels", "+@all"]
    redis_server.command("ACL", "SETUSER", "anyone", *rules)
    url = with_login(redis_server.url(), "anyone", password)
    with Client(url) as client:
        assert client.get_job("none") is None
        assert repr(client) == f"<Client {redis_server.url()} routing_key=None>"


@pytest.mark.parametrize("make", [AsyncClient, Client])
@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://:Zq9@h", "redis_url must start with redis://, rediss:// or unix://, "
                          "such as redis://localhost:6379"),
        ("redis://:Zq9@h:x", "redis_url has the port 'x', which is not a number"),
        ("redis://:Zq/9@h", "redis_url has an '@' behind a '/', '?' or '#'; encode those in a "
                            "password as %2F, %3F and %23, and an '@' as %40"),
        ("redis://Zq9@h", "redis_url has a user name but no password: write "
                          "redis://user:password@..., redis://:password@... for a password alone, "
                          "redis://user:@... for a user without one"),
        (None, "redis_url must be a string, not NoneType"),
    ],
)  # fmt: skip
def test_wrong_urls(make: Any, url: Any, text: str) -> None:
    """A wrong URL is refused at construction, with no part of a password in the message."""
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make(url)


async def test_environment(broker: Broker, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no URL is passed, that of the environment counts."""
    monkeypatch.setenv("BANANAS_REDIS_URL", broker.url)
    if kind == "async":
        async with AsyncClient() as client:
            job_id = await client.submit_job("work", 1)
    else:
        job_id = await asyncio.get_running_loop().run_in_executor(None, _submit_blocking)
    assert broker.queued("queue:normal") == [job_id]


def _submit_blocking() -> str:
    with Client() as client:
        return client.submit_job("work", 1)


def test_wrong_url_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong URL in the environment is blamed on it."""
    monkeypatch.setenv("BANANAS_REDIS_URL", "http://:secret@h")
    expected = "^BANANAS_REDIS_URL must start with redis://, rediss:// or unix://, such as"
    with pytest.raises(ValueError, match=expected):
        AsyncClient()


# -- TLS -----------------------------------------------------------------------------------------


async def test_tls(real_broker: Broker, redis_server: RedisServer, connect: Connect) -> None:
    """Submits and waits go over TLS, when the server's certificate is trusted."""
    async with TlsRelay(redis_server.port) as relay:
        url = f"rediss://localhost:{relay.port}?ssl_ca_certs={CERTIFICATE}"
        client = await connect(url)
        job_id = await client.submit_job("work", 1)
        real_broker.command("HSET", f"bananas:result:{job_id}", "status", "completed")
        assert (await client.wait_for_result(job_id)).is_success
        await client.close()


async def test_certificate_that_is_not_trusted(
    redis_server: RedisServer, real_broker: Broker, connect: Connect
) -> None:
    """A certificate that nobody vouches for is refused, unless the URL says otherwise."""
    async with TlsRelay(redis_server.port) as relay:
        with pytest.raises(ConnectionError, match="^can't reach Redis at rediss://localhost:"):
            await connect(f"rediss://localhost:{relay.port}")
        client = await connect(f"rediss://localhost:{relay.port}?ssl_cert_reqs=none")
        await client.submit_job("work", 1)
        await client.close()


async def test_certificate_of_another_host(
    redis_server: RedisServer, real_broker: Broker, connect: Connect
) -> None:
    """A certificate for another name is refused, unless the URL says otherwise."""
    async with TlsRelay(redis_server.port) as relay:
        url = f"rediss://127.0.0.2:{relay.port}?ssl_ca_certs={CERTIFICATE}"
        with pytest.raises(ConnectionError, match=r"^can't reach Redis at rediss://127\.0\.0\.2:"):
            await connect(url)
        client = await connect(f"{url}&ssl_check_hostname=false")
        await client.submit_job("work", 1)
        await client.close()
