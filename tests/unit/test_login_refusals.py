"""A login that is missing or wrong is reported in the same words, whatever server refuses it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import AsyncIterator, Dict, List

import pytest

from bananas import AsyncClient
from bananas import exceptions as exc
from bananas._redis.async_connection import Link
from bananas._redis.url import parse_url

pytestmark = pytest.mark.asyncio

_HELLO = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
_HELLO_6_AND_7 = _HELLO + (
    "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
    "protocol version at the same time"
)
_HELLO_8 = _HELLO + (
    "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
    "protocol version at the same time"
)
_WANTED = "NOAUTH Authentication required."
#: What servers answer to one that gives no password, by command; all else is refused with _WANTED.
_SERVERS: Dict[str, Dict[str, str]] = {
    "Redis 6.2": {"HELLO": _HELLO_6_AND_7},
    "Redis 7.0": {
        "HELLO": _HELLO_6_AND_7,
        "CLIENT SETINFO": "ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.",
    },
    "Redis 8.2, Valkey 8.1 and 9.1": {"HELLO": _HELLO_8},
}
_REFUSED = [
    "WRONGPASS invalid username-password pair or user is disabled.",
    "ERR AUTH <password> called without any password configured for the default user. Are you "
    "sure your configuration is correct?",
]


@contextlib.asynccontextmanager
async def _server(answers: Dict[str, str]) -> AsyncIterator[int]:
    """Listen, refuse everything in the words of a server, and give the port."""

    served: List[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.Event()
        served.append(ended)
        try:
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                words: List[str] = []
                for _ in range(count):
                    size = int((await reader.readuntil(b"\r\n"))[1:])
                    words.append((await reader.readexactly(size + 2))[:-2].decode().upper())
                text = answers.get(" ".join(words[:2])) or answers.get(words[0], _WANTED)
                writer.write(b"-%s\r\n" % text.encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has seen enough
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for ended in served:
            await asyncio.wait_for(ended.wait(), 60)


async def _refusal(port: int, login: str = "") -> exc.AuthenticationError:
    link = Link(parse_url(f"redis://{login}127.0.0.1:{port}"), 30)
    with pytest.raises(exc.AuthenticationError) as caught:
        await link.connect()
    await link.aclose()
    assert caught.value.permanent
    return caught.value


@pytest.mark.parametrize("name", _SERVERS)
async def test_password_missing(name: str) -> None:
    """Who gives no password to a server that wants one is told so, and how to give it."""
    async with _server(_SERVERS[name]) as port:
        assert str(await _refusal(port)) == (
            f"Redis at redis://127.0.0.1:{port}/0 needs a password, but got none: put it "
            "into the URL, as in redis://:password@host, or redis://user:password@host for an "
            "ACL user"
        )


@pytest.mark.parametrize("name", _SERVERS)
async def test_password_missing_for_a_sentinel(name: str) -> None:
    """The same holds for a sentinel."""
    async with _server(_SERVERS[name]) as port:
        client = AsyncClient.from_sentinel([("127.0.0.1", port)], "primary")
        expected = "needs a password, but got none: put it into the URL"
        with pytest.raises(exc.AuthenticationError, match=expected) as caught:
            await client.connect()
        await client.close()
        assert caught.value.permanent


@pytest.mark.parametrize("text", _REFUSED)
@pytest.mark.parametrize("login", [":Zq9@", "bob:Zq9@"])
async def test_login_refused(text: str, login: str) -> None:
    """Who gives a wrong one is told what the server says, without a code that it did not send."""
    async with _server({"AUTH": text}) as port:
        error = str(await _refusal(port, login))
    assert error == (
        f"Redis at redis://127.0.0.1:{port}/0 refuses the user name or password: "
        + text.partition(" ")[2]
    )
