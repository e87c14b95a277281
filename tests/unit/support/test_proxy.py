"""The proxy passes everything on, but for the fault that a test has ordered."""

from __future__ import annotations

import asyncio
import random
import select
import socket
import struct
import time
from typing import List, Union

import pytest
import redis
import redis.asyncio

from tests.support import (
    Cut,
    CutAfterBytes,
    CutReply,
    FaultProxy,
    GoSilent,
    Hold,
    HoldReply,
    Inject,
    LoseReply,
    LoseReplySilently,
    RawClient,
    RedisServer,
    Reset,
    RespError,
    Rule,
    Signal,
    any_command,
    at_random,
    command,
    containing,
    wait_until,
)
from tests.support.framing import encode_command

EXEC = command(b"EXEC")
BATCH = [
    encode_command("MULTI"),
    encode_command("MSET", "doc:1", "x" * 10, "doc:2", "\r\n"),
    encode_command("LPUSH", "queue", "1", "2"),
    encode_command("EXEC"),
]
BATCH_REPLIES = [b"OK", b"QUEUED", b"QUEUED", [b"OK", 2]]


def replies(client: RawClient, count: int) -> List[object]:
    return [client.receive() for _ in range(count)]


def is_silent(client: RawClient) -> bool:
    return not select.select([client.socket], [], [], 0.05)[0]


def wait_for_key(server: RedisServer, key: str) -> None:
    wait_until(lambda: server.command("EXISTS", key) == 1, f"{key} is there")


def is_connected(server: RedisServer, identity: int) -> bool:
    return bool(server.command("CLIENT", "LIST", "ID", identity).strip())


def wait_until_gone(server: RedisServer, identity: int) -> None:
    wait_until(lambda: not is_connected(server, identity), "the server knows of the end")


# Nothing ordered.


def test_a_batch_passes_unchanged(server: RedisServer, client: RawClient) -> None:
    """Without rules the client can't tell the proxy from the server."""
    client.socket.sendall(b"".join(BATCH))
    assert replies(client, 4) == BATCH_REPLIES
    assert server.command("LLEN", "queue") == 2


def test_a_batch_passes_in_single_bytes(server: RedisServer, client: RawClient) -> None:
    """How a request is split on its way makes no difference."""
    for byte in b"".join(BATCH):
        client.socket.sendall(bytes([byte]))
    assert replies(client, 4) == BATCH_REPLIES


def test_large_values_pass_both_ways(server: RedisServer, client: RawClient) -> None:
    """A value far larger than any buffer arrives whole."""
    value = bytes(random.Random(1).getrandbits(8) for _ in range(65536)) * 80
    assert client.command("SET", "key", value) == b"OK"
    assert client.command("GET", "key") == value


def test_errors_and_closing_pass(server: RedisServer, client: RawClient) -> None:
    """An error reply is passed on, and so is the end of the connection by the server."""
    with pytest.raises(RespError, match="unknown command"):
        client.command("NO-SUCH-COMMAND")
    assert client.command("QUIT") == b"OK"
    with pytest.raises(EOFError):
        client.receive()


def test_a_broken_request_passes_too(server: RedisServer, client: RawClient) -> None:
    """The server sees what is no RESP, and closes as it would without the proxy."""
    client.socket.sendall(b"*1\r\n+junk\r\n")
    with pytest.raises(RespError, match="Protocol error"):
        client.receive()
    with pytest.raises(EOFError):
        client.receive()


def test_messages_pass(server: RedisServer, proxy: FaultProxy, client: RawClient) -> None:
    """A subscriber gets its confirmations, its messages and the answer to its ping."""
    client.send("SUBSCRIBE", "a", "b")
    assert replies(client, 2) == [[b"subscribe", b"a", 1], [b"subscribe", b"b", 2]]
    server.command("PUBLISH", "a", "hello")
    assert client.receive() == [b"message", b"a", b"hello"]
    proxy.on(command(b"PING"), Inject(b"+mine\r\n"))
    client.send("UNSUBSCRIBE")
    client.send("PING")
    assert [client.receive()[0] for _ in range(2)] == [b"unsubscribe"] * 2
    assert replies(client, 2) == [b"mine", b"PONG"]


def test_what_passes_is_counted(server: RedisServer, proxy: FaultProxy) -> None:
    """Connections, commands by name and bytes are numbers that a test can wait for."""
    assert proxy.connections_opened == 0
    with RawClient(proxy.port) as first, RawClient(proxy.port) as second:
        first.command("set", "key", "value")
        for _ in range(3):
            second.command("GET", "key")
        assert (proxy.connections_opened, proxy.connections_open) == (2, 2)
        assert proxy.commands == {"SET": 1, "GET": 3}
        expected = encode_command("set", "key", "value") + 3 * encode_command("GET", "key")
        assert proxy.bytes_forwarded == len(expected)
    proxy.wait(lambda: proxy.connections_open == 0)
    assert proxy.connections_opened == 2


def test_a_client_that_leaves_is_gone_from_the_server(server: RedisServer) -> None:
    """The server is told when the client closes."""
    with FaultProxy(server) as proxy, RawClient(proxy.port) as client:
        identity = client.command("CLIENT", "ID")
        client.close()
        wait_until_gone(server, identity)


def test_stopping_closes_every_connection(server: RedisServer) -> None:
    """After `stop` clients see an end, new ones are refused, and the thread is gone."""
    proxy = FaultProxy(server).start()
    with RawClient(proxy.port) as client:
        client.command("PING")
        proxy.stop()
        with pytest.raises(EOFError):
            client.receive()
    with pytest.raises(ConnectionRefusedError):
        RawClient(proxy.port)
    proxy.stop()


@pytest.mark.real_server
def test_a_server_that_is_down_ends_connections() -> None:
    """While the server is away clients are closed, and once it is back they work."""
    with RedisServer() as server, FaultProxy(server) as proxy:
        server.stop()
        with RawClient(proxy.port) as client, pytest.raises(EOFError):
            client.receive()
        server.start()
        with RawClient(proxy.port) as client:
            assert client.command("PING") == b"PONG"


@pytest.mark.real_server
def test_the_url_logs_in_through_the_proxy() -> None:
    """The proxy's URL has the server's password, or the login it is given."""
    with RedisServer(password="p@ss") as server, FaultProxy(server) as proxy:
        with redis.Redis.from_url(proxy.url(db=2)) as client:
            client.set("key", "value")
        assert proxy.commands["AUTH"] + proxy.commands["HELLO"] >= 1
        with redis.Redis.from_url(proxy.url(password="wrong")) as client, pytest.raises(
            redis.exceptions.AuthenticationError
        ):
            client.ping()


async def test_many_clients_at_once_get_their_own_replies(
    server: RedisServer, proxy: FaultProxy
) -> None:
    """Thousands of transactions over many connections lose and mix up nothing."""
    client = redis.asyncio.Redis.from_url(proxy.url(), max_connections=20)

    async def submit(worker: int) -> None:
        for number in range(100):
            async with client.pipeline() as pipe:
                pipe.set(f"{worker}:{number}", worker)
                pipe.lpush("queue", number)
                pipe.get(f"{worker}:{number}")
                assert (await pipe.execute())[2] == b"%d" % worker

    await asyncio.gather(*(submit(worker) for worker in range(20)))
    await client.aclose()
    assert proxy.commands["EXEC"] == 2000
    assert server.command("LLEN", "queue") == 2000


# Which commands a rule is for.


def test_rules_match_by_name_beginning_content_or_chance(
    proxy: FaultProxy, client: RawClient
) -> None:
    """Names are case-blind; more words narrow it down; chance is that of the generator given."""
    mark = Inject(b"+hit\r\n")
    proxy.on(command(b"CLIENT", b"GETNAME"), mark)
    assert client.command("CLIENT", "ID") != b"hit"
    client.send("client", "getname")
    assert replies(client, 2) == [b"hit", None]
    proxy.on(containing(b"job-1"), mark)
    assert client.command("ECHO", "a job") == b"a job"
    client.send("ECHO", "a job-1 b")
    assert replies(client, 2) == [b"hit", b"a job-1 b"]
    chance = at_random(0.3, random.Random(5))
    rng = random.Random(5)
    assert [chance([b"PING"]) for _ in range(99)] == [rng.random() < 0.3 for _ in range(99)]


def test_a_rule_strikes_as_often_as_told(proxy: FaultProxy, client: RawClient) -> None:
    """`skip` lets the first ones pass, `times` bounds it, and `fired` counts."""
    rule = proxy.on(command(b"PING"), Inject(b"+hit\r\n"), times=2, skip=1)
    for _ in range(5):
        client.send("PING")
    assert replies(client, 7) == [b"PONG", b"hit", b"PONG", b"hit", b"PONG", b"PONG", b"PONG"]
    assert rule.fired == 2
    assert rule.wait(times=2) == 2


def test_a_rule_without_bound_strikes_until_disarmed(proxy: FaultProxy, client: RawClient) -> None:
    """`times=None` is every time; `disarm` and `clear` end it."""
    for disarm in (Rule.disarm, lambda _: proxy.clear()):
        rule = proxy.on(any_command(), Inject(b"+hit\r\n"), times=None)
        for _ in range(3):
            client.send("PING")
        assert replies(client, 6) == [b"hit", b"PONG"] * 3
        disarm(rule)
        assert client.command("PING") == b"PONG"


def test_the_first_rule_armed_goes_first(proxy: FaultProxy, client: RawClient) -> None:
    """Of two rules for one command the older strikes, and then the other."""
    proxy.on(any_command(), Inject(b"+first\r\n"))
    proxy.on(any_command(), Inject(b"+second\r\n"))
    client.send("PING")
    client.send("PING")
    assert replies(client, 4) == [b"first", b"PONG", b"second", b"PONG"]


def test_a_match_that_raises_is_reported(server: RedisServer) -> None:
    """A bug in a test's own predicate fails that test instead of vanishing in a thread."""
    proxy = FaultProxy(server).start()
    proxy.on(lambda words: bool(1 // 0), Cut())
    with RawClient(proxy.port) as client, pytest.raises(EOFError):
        client.command("PING")
    with pytest.raises(ZeroDivisionError):
        proxy.stop()


async def test_coroutines_wait_for_rules_and_numbers(proxy: FaultProxy, client: RawClient) -> None:
    """A test on an event loop waits without blocking it."""
    rule = proxy.on(command(b"PING"), LoseReply())
    waiting = asyncio.ensure_future(rule.wait_async())
    client.send("PING")
    assert await waiting == 1
    await proxy.wait_async(lambda: proxy.connections_open == 0)


def test_waiting_in_vain_says_for_which_rule(proxy: FaultProxy) -> None:
    """The error names the action that has not happened."""
    rule = proxy.on(EXEC, LoseReply())
    with pytest.raises(TimeoutError, match=r"LoseReply\(.*\) to happen 1 times"):
        rule.wait(timeout=0.01)


# Cuts.


def test_cut_after_a_command_lets_it_be_done(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """The server gets the command, not those behind it, and the client an end."""
    rule = proxy.on(command(b"SET", b"b"), Cut())
    client.socket.sendall(b"".join(encode_command("SET", key, 1) for key in "abc"))
    with pytest.raises(EOFError):
        replies(client, 2)
    assert rule.fired == 1
    wait_for_key(server, "b")
    assert server.command("EXISTS", "a", "c") == 1


def test_cut_before_a_command_lets_it_not_be_done(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """The transaction that lacks its EXEC is dropped by the server."""
    identity = client.command("CLIENT", "ID")
    proxy.on(EXEC, Cut(before=True))
    client.socket.sendall(b"".join(BATCH))
    with pytest.raises(EOFError):
        replies(client, 4)
    wait_until_gone(server, identity)
    assert server.command("DBSIZE") == 0


def test_cut_on_the_clients_side_leaves_the_server_connected(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """The client sees an end while the server still has the connection, until it closes it."""
    identity = client.command("CLIENT", "ID")
    proxy.on(command(b"SET"), Cut(side="client"))
    client.send("SET", "key", "value")
    with pytest.raises(EOFError):
        client.receive()
    wait_for_key(server, "key")
    assert is_connected(server, identity)
    assert server.command("CLIENT", "KILL", "ID", identity) == 1


def test_cut_on_the_servers_side_leaves_the_client_waiting(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """The server has lost the connection and the client is not told."""
    identity = client.command("CLIENT", "ID")
    proxy.on(command(b"SET"), Cut(before=True, side="server"))
    client.send("SET", "key", "value")
    wait_until_gone(server, identity)
    assert is_silent(client)
    assert proxy.connections_open == 1
    client.close()
    proxy.wait(lambda: proxy.connections_open == 0)


@pytest.mark.parametrize("action", [Reset(), Cut(reset=True), LoseReply(reset=True)])
def test_a_reset_is_an_error_for_the_client(
    proxy: FaultProxy, client: RawClient, action: Union[Cut, LoseReply]
) -> None:
    """The client gets a reset and no orderly end."""
    proxy.on(command(b"PING"), action)
    with pytest.raises(ConnectionResetError):
        client.command("PING")


@pytest.mark.parametrize("reset", [False, True])
def test_all_connections_can_be_cut(proxy: FaultProxy, client: RawClient, reset: bool) -> None:
    """Idle connections end, or are reset, all at once; new ones work."""
    with RawClient(proxy.port) as other:
        client.command("PING")
        other.command("PING")
        proxy.cut_all(reset=reset)
        for cut in (client, other):
            with pytest.raises(ConnectionResetError if reset else EOFError):
                cut.receive()
    with RawClient(proxy.port) as fresh:
        assert fresh.command("PING") == b"PONG"


def test_subscribers_alone_can_be_cut(proxy: FaultProxy, client: RawClient) -> None:
    """`seen` picks the connections that have sent a command."""
    with RawClient(proxy.port) as subscriber:
        subscriber.command("SUBSCRIBE", "channel")
        proxy.cut_all(seen=b"subscribe")
        with pytest.raises(EOFError):
            subscriber.receive()
    assert client.command("PING") == b"PONG"


def test_a_stream_is_cut_at_any_byte(server: RedisServer, proxy: FaultProxy) -> None:
    """Exactly the bytes before the cut reach the server: all of a transaction, or none of it."""
    batch = b"".join(BATCH)
    for after in range(len(batch) + 1):
        with RawClient(proxy.port) as client:
            identity = client.command("CLIENT", "ID")
            sent = proxy.bytes_forwarded
            rule = proxy.cut_stream(after=after)
            client.socket.sendall(batch)
            with pytest.raises(EOFError):
                replies(client, 5)
            assert rule.fired == 1
            assert proxy.bytes_forwarded - sent == after
            wait_until_gone(server, identity)
            assert server.command("LLEN", "queue") == (2 if after == len(batch) else 0)


def test_a_stream_is_counted_from_arming_on_each_connection(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """Bytes before arming and those of other connections don't count; new connections do."""
    length = len(encode_command("PING"))
    client.command("PING")
    rule = proxy.cut_stream(after=2 * length, times=2)
    with RawClient(proxy.port) as other:
        for each in (client, other):
            assert each.command("PING") == b"PONG"
        for each in (client, other):
            with pytest.raises(EOFError):
                each.command("PING")
    assert rule.fired == 2
    with RawClient(proxy.port) as third:
        for _ in range(3):
            assert third.command("PING") == b"PONG"


def test_a_client_that_says_nothing_uses_up_no_cut(proxy: FaultProxy, client: RawClient) -> None:
    """A cut at the next byte is left for a connection that has one."""
    client.command("PING")
    rule = proxy.cut_stream(after=0)
    client.close()
    proxy.wait(lambda: proxy.connections_open == 0)
    with RawClient(proxy.port) as other, pytest.raises(EOFError):
        other.command("PING")
    assert rule.fired == 1


def test_the_start_of_a_command_reaches_the_server_when_the_client_leaves(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """What the client has sent of a command before it closed is passed on, cut or not."""
    client.socket.sendall(BATCH[1][:9])
    client.close()
    proxy.wait(lambda: proxy.bytes_forwarded == 9)


@pytest.mark.parametrize("count", [0, 1, 20, len(BATCH[2]), len(BATCH[2]) + 3])
def test_cut_after_bytes_counts_from_its_command(
    server: RedisServer, proxy: FaultProxy, client: RawClient, count: int
) -> None:
    """The count begins with the command that matched and goes on over those behind it."""
    rule = proxy.on(command(b"LPUSH"), CutAfterBytes(count))
    client.socket.sendall(b"".join(BATCH))
    with pytest.raises(EOFError):
        replies(client, 4)
    assert rule.fired == 1
    assert proxy.bytes_forwarded == len(BATCH[0] + BATCH[1]) + count


# Replies.


def test_a_lost_reply_leaves_the_work_done(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """The client gets the replies before it and an end; the server has executed all."""
    rule = proxy.on(EXEC, LoseReply())
    client.socket.sendall(b"".join(BATCH))
    assert replies(client, 3) == BATCH_REPLIES[:3]
    with pytest.raises(EOFError):
        client.receive()
    assert rule.fired == 1
    assert server.command("LLEN", "queue") == 2


def test_a_reply_lost_in_silence_leaves_the_connection_open(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """The reply and the later ones never come, while the server goes on working."""
    rule = proxy.on(EXEC, LoseReplySilently())
    client.socket.sendall(b"".join(BATCH))
    assert replies(client, 3) == BATCH_REPLIES[:3]
    rule.wait()
    client.send("SET", "later", 1)
    wait_for_key(server, "later")
    assert is_silent(client)
    assert server.command("LLEN", "queue") == 2


def test_a_reply_is_cut_in_its_middle(proxy: FaultProxy, client: RawClient) -> None:
    """The client gets the first bytes of the reply and then an end."""
    proxy.on(command(b"ECHO"), CutReply(6))
    client.socket.sendall(encode_command("PING") + encode_command("ECHO", "hello"))
    received = b""
    while True:
        data = client.socket.recv(100)
        if not data:
            break
        received += data
    assert received == b"+PONG\r\n" + b"$5\r\nhe"


def test_a_reply_is_held_until_released(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """The server has done the work; the reply, and those behind it, wait."""
    release = Signal()
    rule = proxy.on(command(b"SUBSCRIBE"), HoldReply(release))
    client.send("SUBSCRIBE", "channel")
    rule.wait()
    assert server.command("PUBLISH", "channel", "hello") == 1
    assert is_silent(client)
    release.set()
    assert replies(client, 2) == [[b"subscribe", b"channel", 1], [b"message", b"channel", b"hello"]]


def test_extra_bytes_stand_before_or_after_a_reply(proxy: FaultProxy, client: RawClient) -> None:
    """`Inject` puts them before the reply of its command, or right after it."""
    proxy.on(command(b"ECHO", b"1"), Inject(b"+stray\r\n"))
    proxy.on(command(b"ECHO", b"2"), Inject(b"+stray\r\n", after=True))
    for number in (0, 1, 2, 3):
        client.send("ECHO", number)
    assert replies(client, 6) == [b"0", b"stray", b"1", b"2", b"stray", b"3"]


def test_an_idle_client_gets_bytes_it_never_asked_for(proxy: FaultProxy, client: RawClient) -> None:
    """`inject` needs no command."""
    client.command("PING")
    proxy.inject(b"$5\r\nstray\r\n")
    assert client.receive() == b"stray"
    assert client.command("PING") == b"PONG"


# Late requests.


def test_a_held_request_arrives_after_its_client_has_gone(
    server: RedisServer, proxy: FaultProxy
) -> None:
    """Once released, all of the batch reaches the server, though nobody waits for it."""
    release = Signal()
    with RawClient(proxy.port) as client:
        rule = proxy.on(command(b"MULTI"), Hold(release))
        client.socket.sendall(encode_command("SET", "before", 1) + b"".join(BATCH))
        rule.wait()
        wait_for_key(server, "before")
    proxy.wait(lambda: proxy.connections_open == 0)
    assert server.command("LLEN", "queue") == 0
    release.set()
    wait_for_key(server, "queue")
    assert server.command("LLEN", "queue") == 2


def test_a_large_held_request_arrives_whole(server: RedisServer, proxy: FaultProxy) -> None:
    """The proxy takes in all that the client sends behind a held command."""
    release = Signal()
    value = "x" * 1000000
    with RawClient(proxy.port) as client:
        rule = proxy.on(command(b"GET"), Hold(release))
        client.send("GET", "nothing")
        client.send("SET", "key", value)
        rule.wait()
    proxy.wait(lambda: proxy.connections_open == 0)
    release.set()
    wait_for_key(server, "key")
    assert server.command("STRLEN", "key") == len(value)


def test_a_held_request_survives_a_client_that_resets(
    server: RedisServer, proxy: FaultProxy
) -> None:
    """What the proxy had received reaches the server even if the client aborts."""
    release = Signal()
    with RawClient(proxy.port) as client:
        rule = proxy.on(command(b"MULTI"), Hold(release))
        client.socket.sendall(b"".join(BATCH))
        rule.wait()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    proxy.wait(lambda: proxy.connections_open == 0)
    release.set()
    wait_for_key(server, "queue")


def test_a_held_request_passes_in_order_when_its_client_waits(
    proxy: FaultProxy, client: RawClient
) -> None:
    """After the release the client gets every reply as if nothing had happened."""
    release = Signal()
    rule = proxy.on(command(b"ECHO", b"2"), Hold(release))
    for number in (1, 2, 3):
        client.send("ECHO", number)
    assert client.receive() == b"1"
    rule.wait()
    assert is_silent(client)
    release.set()
    assert replies(client, 2) == [b"2", b"3"]


def test_a_held_request_is_dropped_with_its_connection_by_the_server(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """A server that kills the connection in the meantime never gets the request."""
    release = Signal()
    identity = client.command("CLIENT", "ID")
    rule = proxy.on(command(b"SET"), Hold(release))
    client.send("SET", "key", "value")
    rule.wait()
    assert server.command("CLIENT", "KILL", "ID", identity) == 1
    with pytest.raises(EOFError):
        client.receive()
    sent = proxy.bytes_forwarded
    release.set()
    with RawClient(proxy.port) as other:
        assert other.command("GET", "key") is None
    assert proxy.bytes_forwarded == sent + len(encode_command("GET", "key"))


# The whole proxy.


def test_refused_connections_are_accepted_again(proxy: FaultProxy, client: RawClient) -> None:
    """`refuse` closes the listener and no connection; `accept` opens the same port."""
    client.command("PING")
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        RawClient(proxy.port)
    assert client.command("PING") == b"PONG"
    proxy.accept()
    with RawClient(proxy.port) as other:
        assert other.command("PING") == b"PONG"


def test_silence_holds_up_both_ways(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """Nothing passes on old and new connections, none is closed, and all goes on afterwards."""
    client.command("SUBSCRIBE", "channel")
    proxy.go_silent()
    with RawClient(proxy.port) as other:
        other.send("SET", "key", "value")
        assert server.command("PUBLISH", "channel", "hello") == 1
        assert is_silent(client)
        assert is_silent(other)
        assert server.command("EXISTS", "key") == 0
        assert proxy.connections_open == 2
        proxy.resume()
        assert other.receive() == b"OK"
        assert client.receive() == [b"message", b"channel", b"hello"]


def test_subscribers_alone_go_silent(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """With `seen` other connections, new ones too, go on."""
    client.command("SUBSCRIBE", "channel")
    with RawClient(proxy.port) as other:
        proxy.go_silent(seen=b"SUBSCRIBE")
        server.command("PUBLISH", "channel", "hello")
        assert other.command("PING") == b"PONG"
        with RawClient(proxy.port) as fresh:
            assert fresh.command("PING") == b"PONG"
    assert is_silent(client)


def test_a_silent_connection_can_be_cut(proxy: FaultProxy, client: RawClient) -> None:
    """`cut_all` ends connections on which nothing passes."""
    client.command("PING")
    proxy.go_silent()
    client.send("PING")
    proxy.cut_all()
    with pytest.raises(EOFError):
        client.receive()


def test_a_silent_subscriber_fills_the_servers_buffer(server: RedisServer) -> None:
    """The proxy stops reading, so that the server drops a subscriber that is too slow."""
    with FaultProxy(server) as proxy, RawClient(proxy.port) as client:
        server.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 4mb 0 0")
        identity = client.command("CLIENT", "ID")
        client.command("SUBSCRIBE", "channel")
        proxy.go_silent()
        # Valkey counts nothing of a message that it does not copy, and copies the small ones.
        publish = "for _ = 1, 128 do redis.call('PUBLISH', 'channel', string.rep('x', 8192)) end"
        for _ in range(100):
            server.command("EVAL", publish, 0)
            if not is_connected(server, identity):
                break
        assert not is_connected(server, identity)


def test_one_connection_goes_silent_at_a_command(
    server: RedisServer, proxy: FaultProxy, client: RawClient
) -> None:
    """The command and those behind it stay away; the ones before it and others pass."""
    rule = proxy.on(command(b"SET"), GoSilent())
    client.send("PING")
    client.send("SET", "key", "value")
    rule.wait()
    with RawClient(proxy.port) as other:
        assert other.command("EXISTS", "key") == 0
    proxy.resume()
    assert replies(client, 2) == [b"PONG", b"OK"]


def test_a_mute_proxy_accepts_and_says_nothing(proxy: FaultProxy, client: RawClient) -> None:
    """New connections stay open without a word, for good; old and later ones work."""
    client.command("PING")
    proxy.mute()
    with RawClient(proxy.port) as other:
        other.send("PING")
        assert is_silent(other)
        assert client.command("PING") == b"PONG"
        proxy.resume()
        assert is_silent(other)
        with RawClient(proxy.port) as fresh:
            assert fresh.command("PING") == b"PONG"


def test_replies_drip(proxy: FaultProxy, client: RawClient) -> None:
    """A reply takes at least the pause per byte, and comes whole; others are quick again."""
    text = "drop by drop"
    client.command("PING")
    proxy.drip(0.002)
    begin = time.monotonic()
    assert client.command("ECHO", text) == text.encode()
    assert time.monotonic() - begin >= 0.002 * (len(text) - 1)
    proxy.drip(None)
    assert client.command("PING") == b"PONG"


def test_faults_are_ordered_before_the_next_byte(proxy: FaultProxy, client: RawClient) -> None:
    """What is sent after a method has returned meets the fault, every time."""
    for _ in range(200):
        rule = proxy.on(command(b"PING"), Inject(b"+hit\r\n"))
        client.send("PING")
        assert replies(client, 2) == [b"hit", b"PONG"]
        assert rule.fired == 1
