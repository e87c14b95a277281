"""Replies are parsed where they arrive and handed to whoever asked for them."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any, AsyncIterator, Awaitable, Callable, List

import hiredis
import pytest

from bananas import Client, JobPriority
from bananas import exceptions as exc
from bananas._redis import protocol
from bananas._redis.async_connection import Link
from bananas._redis.protocol import LinkLost, ReplyError, ReplyProtocol
from bananas._redis.url import parse_url
from tests.support import RedisServer

THREE = b"+OK\r\n:7\r\n*2\r\n$2\r\nab\r\n$-1\r\n"
REPLIES = [b"OK", 7, [b"ab", None]]


class Ends:
    """A protocol without a transport, and what it tells."""

    def __init__(self) -> None:
        self.lost: List[str] = []
        self.got: List[Any] = []
        self.protocol = ReplyProtocol(lambda reason: self.lost.append(str(reason)))

    def feed(self, data: bytes) -> None:
        self.protocol.data_received(data)


def test_hiredis_writes_no_number(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It crashes if a signal handler raises while it does; redis-py has it write, too."""
    written: List[Any] = []
    pack_command: Any = getattr(hiredis, "pack_command", None)
    if pack_command is None:  # before 2.1 it writes nothing at all
        return

    def note(command: Any) -> bytes:
        written.extend(command)
        return bytes(pack_command(command))

    monkeypatch.setattr(hiredis, "pack_command", note)
    monkeypatch.setattr(protocol, "_pack_command", note)
    with Client(redis_server.url(db=3)) as client:
        client.submit_job_scheduled("work", None, JobPriority.HIGH, timedelta(hours=1))
        client.locate(client.submit_job("work", None))
        assert len(list(client.queue.jobs("queued"))) == 1
    assert b"LRANGE" in written
    assert {type(argument) for argument in written} <= {bytes, str}


def test_replies_arrive_in_pieces() -> None:
    """However the bytes are cut, the replies are handed over once, when all are complete."""
    for cut in range(len(THREE) + 1):
        ends = Ends()
        ends.protocol.expect(3, ends.got.append)
        for part in (THREE[:cut], THREE[cut:]):
            if part:
                assert ends.got == []
                ends.feed(part)
        assert ends.got == [REPLIES]
        assert (ends.lost, ends.protocol.has_leftovers) == ([], False)


def test_whatever_arrives() -> None:
    """With a count of 0, every arrival is handed over as it is, complete replies only."""
    ends = Ends()
    ends.protocol.expect(0, ends.got.append)
    ends.feed(THREE + b":8")
    ends.feed(b"\r\n")
    ends.feed(b":9\r\n")
    assert ends.got == [REPLIES, [8], [9]]


def test_more_than_was_asked_for() -> None:
    """A reply too many is not handed over, and is seen."""
    ends = Ends()
    ends.protocol.expect(2, ends.got.append)
    ends.feed(THREE)
    assert ends.got == [REPLIES[:2]]
    assert ends.protocol.has_leftovers
    ends.protocol.expect(1, ends.got.append)
    assert ends.got == [REPLIES[:2], REPLIES[2:]]
    assert not ends.protocol.has_leftovers


def test_part_of_a_reply_too_many() -> None:
    """So is the beginning of one."""
    ends = Ends()
    ends.protocol.expect(3, ends.got.append)
    ends.feed(THREE + b"$5\r\nab")
    assert ends.got == [REPLIES]
    assert ends.protocol.has_leftovers


@pytest.mark.parametrize("data", [b":1\r\n", b"$5\r\nab"])
def test_nobody_asked(data: bytes) -> None:
    """What arrives while nothing is expected costs the connection."""
    ends = Ends()
    ends.feed(data)
    assert ends.lost == ["it has an unexpected reply"]


def test_not_redis() -> None:
    """So does what is no reply; of what follows nothing is handed over."""
    ends = Ends()
    ends.protocol.expect(1, ends.got.append)
    ends.feed(b"HTTP/1.1 400 a-secret\r\n")
    assert ends.lost == ["it does not speak the Redis protocol (ProtocolError)"]
    ends.feed(b"+OK\r\n")
    assert ends.got == []


def test_only_the_first_reason_counts() -> None:
    """Whoever gave a connection up first has said why."""
    ends = Ends()
    ends.protocol.lose(LinkLost("first"))
    ends.protocol.lose(LinkLost("second"))
    ends.protocol.connection_lost(None)
    assert ends.lost == ["first"]
    assert str(ends.protocol.lost) == "first"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, "the connection was closed by the server"),
        (ConnectionResetError(104, "Connection reset by peer"), "connection reset by peer"),
        (ValueError("a-secret"), "ValueError"),
    ],
)
def test_why_it_was_lost(error: Any, words: str) -> None:
    """The reason is in words of ours."""
    ends = Ends()
    ends.protocol.connection_lost(error)
    assert ends.lost == [words]


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("WRONGTYPE Operation against", "WRONGTYPE", "Operation against"),
        ("ERR unknown command 'X', with args beginning with: 'a-secret'", "ERR",
         "unknown command 'X'"),
        ("a sentence", "ERR", "a sentence"),
        ("ERR", "ERR", "ERR"),
        ("OOM two\nlines", "OOM", "two\nlines"),
    ],
)  # fmt: skip
def test_error_lines(line: str, code: str, text: str) -> None:
    """An error is a code and a text, and repeats no argument."""
    error = ReplyError.parse(line)
    assert (error.code, error.text) == (code, text)


def test_an_error_that_is_no_utf_8() -> None:
    """Bytes that are no UTF-8 are replaced."""
    ends = Ends()
    ends.protocol.expect(1, ends.got.append)
    ends.feed(b"-ERR \xff\r\n")
    assert str(ends.got[0][0]) == "ERR \ufffd"


@pytest.mark.parametrize("arrives_first", [True, False])
async def test_a_read_that_is_cancelled_as_its_reply_arrives(
    redis_server: RedisServer, arrives_first: bool
) -> None:
    """Cancellation and reply in one turn of the loop raise nothing in the transport."""
    async with connected(redis_server) as link:
        protocol = link._protocol
        assert protocol is not None
        reading = asyncio.ensure_future(link.read_replies(1))
        await asyncio.sleep(0)
        if arrives_first:
            protocol.data_received(b"+PONG\r\n")
        reading.cancel()
        if not arrives_first:
            protocol.data_received(b"+PONG\r\n")
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert (protocol.lost is None) is arrives_first


# -- the link above it --------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def connected(server: RedisServer) -> AsyncIterator[Link]:
    link = Link(parse_url(server.url()), 5)
    await link.connect()
    try:
        yield link
    finally:
        await link.aclose()


async def test_a_read_ends_with_the_connection(redis_server: RedisServer) -> None:
    """Whoever reads is told when the server hangs up, and so is the owner."""
    async with connected(redis_server) as link:
        told: List[LinkLost] = []
        link.on_lost = told.append
        link.send([("CLIENT", "KILL", "ID", link.client_id or 0, "SKIPME", "no"), ("PING",)])
        with pytest.raises(LinkLost, match="closed by the server"):
            await link.read_replies(3)
        assert len(told) == 1
        assert link.is_dirty
        with pytest.raises(LinkLost):
            link.send([("PING",)])
        with pytest.raises(LinkLost):
            await link.read_replies(1)
        with pytest.raises(LinkLost):
            await link.listen(lambda replies: None)


async def test_an_abort_ends_a_read(redis_server: RedisServer) -> None:
    """Giving the connection up ends a read in the same turn."""
    async with connected(redis_server) as link:
        reading = asyncio.ensure_future(link.read_replies(1))
        await asyncio.sleep(0)
        link.abort()
        link.abort()
        with pytest.raises(LinkLost, match="given up"):
            await reading


async def test_a_cancelled_read_leaves_nothing(redis_server: RedisServer) -> None:
    """A reply that its reader no longer waits for costs the connection, not the next reader."""
    async with connected(redis_server) as link:
        lost: asyncio.Future[LinkLost] = asyncio.get_running_loop().create_future()
        link.on_lost = lost.set_result
        link.send([("PING",)])
        reading = asyncio.ensure_future(link.read_replies(1))
        await asyncio.sleep(0)
        reading.cancel()
        assert str(await lost) == "it has an unexpected reply"
        assert reading.cancelled()


async def test_listening(redis_server: RedisServer) -> None:
    """What is published is handed over until the connection ends."""
    async with connected(redis_server) as link:
        heard: List[Any] = []
        complete = asyncio.get_running_loop().create_future()

        def hear(replies: List[Any]) -> None:
            heard.extend(replies)
            if len(heard) == 3:
                complete.set_result(None)

        listening = asyncio.ensure_future(link.listen(hear))
        await asyncio.sleep(0)
        link.send([("SUBSCRIBE", "one", "two")])
        async with connected(redis_server) as other:
            while not (await _call(other, ("PUBLISH", "two", "news")))[0]:
                pass
        await complete
        assert heard[-1] == [b"message", b"two", b"news"]
        link.abort()
        with pytest.raises(LinkLost):
            await listening


async def _call(link: Link, *commands: Any) -> List[Any]:
    link.send(commands)
    return await link.read_replies(len(commands))


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def server_that(serve: Serve) -> AsyncIterator[int]:
    serving: List[asyncio.Task[Any]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*serving)


async def test_a_server_that_speaks_another_protocol() -> None:
    """A web server on the port is said to be no Redis, without a word of what it said."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nServer: a-secret\r\n\r\n")
        with contextlib.suppress(OSError):
            await reader.read()

    async with server_that(serve) as port:
        link = Link(parse_url(f"redis://127.0.0.1:{port}"), 5)
        with pytest.raises(exc.ConnectionError, match="can't reach Redis at .*") as caught:
            await link.connect()
        await link.aclose()
    assert "secret" not in str(caught.value)
