"""The embedded broker stands in for a Redis, behind a real port."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any, Iterator, List

import pytest

from bananas import AsyncClient
from bananas.testing import EmbeddedBroker
from tests.support import RawClient, RespError, wait_until
from tests.support.framing import encode_command


@pytest.fixture
def embedded() -> Iterator[EmbeddedBroker]:
    """A broker of this test's own."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def raw(embedded: EmbeddedBroker) -> Iterator[RawClient]:
    with RawClient(embedded.port) as client:
        yield client


@pytest.fixture
def other(embedded: EmbeddedBroker) -> Iterator[RawClient]:
    with RawClient(embedded.port) as client:
        yield client


def error_of(client: RawClient, *command: Any) -> str:
    with pytest.raises(RespError) as caught:
        client.command(*command)
    return str(caught.value)


def ends(client: RawClient) -> bool:
    """Read what is left, and tell whether the connection ends after it."""
    try:
        while client.receive() is None:
            pass
    except (EOFError, ConnectionError):
        return True
    return False


# -- the life of a broker --------------------------------------------------------------------------


def test_nothing_is_left_of_a_stopped_broker() -> None:
    """Neither the port nor a thread, whatever its clients are doing."""
    before = set(threading.enumerate())
    broker = EmbeddedBroker().start()
    port = broker.port
    idle, blocked = RawClient(port), RawClient(port)
    idle.command("PING")
    blocked.send("BRPOP", "nothing", 0)
    wait_until(lambda: any(c.socket._blocked for c in _connections(broker)), "BRPOP blocks")
    broker.stop()
    assert set(threading.enumerate()) == before
    for client in (idle, blocked):
        assert ends(client)
        client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def _connections(broker: EmbeddedBroker) -> List[Any]:
    found: List[Any] = broker._server.connections.snapshot()
    return found


def test_starting_and_stopping_may_be_repeated() -> None:
    """Twice is as good as once, and a second life begins empty."""
    broker = EmbeddedBroker()
    broker.stop()
    assert repr(broker) == "<EmbeddedBroker stopped>"
    for _ in range(2):
        assert broker.start() is broker
        port = broker.port
        assert broker.start().port == port
        assert repr(broker) == f"<EmbeddedBroker redis://127.0.0.1:{port}/0>"
        with RawClient(port) as client:
            assert client.command("KEYS", "*") == []
            client.command("SET", "a", "1")
        broker.stop()
        broker.stop()


def test_a_stopped_broker_has_no_url() -> None:
    """Asking for it says what to do."""
    with pytest.raises(RuntimeError, match=r"^the embedded broker is not running: call start\(\)$"):
        EmbeddedBroker().url  # noqa: B018


def test_clearing_leaves_no_key(embedded: EmbeddedBroker, raw: RawClient) -> None:
    """Of any database; connections stay."""
    raw.command("SET", "a", "1")
    raw.command("SELECT", 3)
    raw.command("SET", "b", "1")
    embedded.clear()
    assert raw.command("KEYS", "*") == []
    raw.command("SELECT", 0)
    assert raw.command("KEYS", "*") == []


def test_clients_that_vanish_leave_no_trace(
    embedded: EmbeddedBroker, raw: RawClient, capfd: pytest.CaptureFixture[str]
) -> None:
    """A reset in the middle of a reply prints nothing and ends the thread."""
    raw.command("SET", "big", b"x" * 5_000_000)
    for _ in range(10):
        client = RawClient(embedded.port)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.send("GET", "big")
        client.send("BRPOP", "nothing", "0.01")
        client.close()
    wait_until(lambda: len(_connections(embedded)) == 1, "only one connection is left")
    assert raw.command("PING") == b"PONG"
    assert capfd.readouterr() == ("", "")


# -- commands --------------------------------------------------------------------------------------


def test_an_error_does_not_end_the_connection(raw: RawClient) -> None:
    """It is one reply among others, with its code."""
    raw.command("SET", "text", "x")
    for command in (("LPUSH", "text", "x"), ("NOSUCH", "x"), ("SET", "text"), ("GET", "text")):
        raw.send(*command)
    replies = []
    for _ in range(4):
        try:
            replies.append(raw.receive())
        except RespError as error:
            replies.append(str(error))
    assert replies[0] == "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert replies[1].startswith("ERR unknown command")
    assert replies[2] == "ERR wrong number of arguments for 'set' command"
    assert replies[3] == b"x"


def test_a_transaction_is_all_or_what_works(raw: RawClient) -> None:
    """As in Redis: a wrong command discards it, a wrong type spoils one reply."""
    raw.command("SET", "text", "x")
    raw.command("MULTI")
    assert raw.command("MSET", "a", "1", "b", "2") == b"QUEUED"
    raw.command("LPUSH", "list", "1", "2")
    raw.command("LPUSH", "text", "1")
    raw.command("ZADD", "set", 5, "m")
    replies = raw.command("EXEC")
    assert replies[:2] == [b"OK", 2]
    assert str(replies[2]).startswith("WRONGTYPE ")
    assert replies[3] == 1
    raw.command("MULTI")
    assert error_of(raw, "SET", "a").startswith("ERR wrong number of arguments")
    assert error_of(raw, "EXEC").startswith("EXECABORT ")
    assert raw.command("GET", "a") == b"1"


def test_a_watched_key_ends_a_transaction(raw: RawClient, other: RawClient) -> None:
    """If another client changes it in between."""
    raw.command("WATCH", "a")
    other.command("SET", "a", "theirs")
    raw.command("MULTI")
    raw.command("SET", "a", "ours")
    assert raw.command("EXEC") is None
    assert raw.command("GET", "a") == b"theirs"


def test_values_of_any_size_and_content(raw: RawClient) -> None:
    """Larger than the buffer of a socket, empty, with line ends, or like a status."""
    for value in (b"", b"\r\n", b"OK", b"\x00\xff" * 4_000_000):
        raw.command("SET", "value", value)
        assert raw.command("GET", "value") == value


def test_what_the_client_needs_of_redis(raw: RawClient) -> None:
    """Positions, expiries, moves from list to list."""
    raw.command("LPUSH", "from", "1", "2", "3")
    assert raw.command("LPOS", "from", "1", "MAXLEN", 1000) == 2
    assert raw.command("LPOS", "from", "9") is None
    assert raw.command("RPOPLPUSH", "from", "to") == b"1"
    assert raw.command("LREM", "to", 1, "1") == 1
    raw.command("SET", "text", "x", "EX", 100)
    assert raw.command("TTL", "text") == 100
    assert raw.command("HGETALL", "nothing") == []
    raw.command("ZADD", "set", 5, "m")
    assert raw.command("ZRANGEBYSCORE", "set", "-inf", 5) == [b"m"]
    assert raw.command("ZSCORE", "set", "m") == b"5"


def test_resp3_is_spoken_where_it_is_asked_for(raw: RawClient) -> None:
    """HELLO 3 changes how maps, doubles and nothing are written."""
    hello = dict(zip(*[iter(raw.command("HELLO", 2, "SETNAME", "me"))] * 2))
    assert (hello[b"mode"], hello[b"role"], hello[b"proto"]) == (b"standalone", b"master", 2)
    raw.command("ZADD", "set", 1.5, "m")
    raw.command("HSET", "hash", "a", "1")
    raw.command("SADD", "members", "x")
    assert raw.command("HELLO", 3)[b"proto"] == 3
    assert raw.command("ZSCORE", "set", "m") == 1.5
    assert raw.command("HGETALL", "hash") == {b"a": b"1"}
    assert raw.command("GET", "nothing") is None
    assert list(raw.command("SMEMBERS", "members")) == [b"x"]


def test_the_server_names_its_run(raw: RawClient) -> None:
    """A client fences a lost connection only where it knows that the server is the same."""
    first = raw.command("INFO", "server")
    assert b"run_id:" in first
    with EmbeddedBroker() as another, RawClient(another.port) as client:
        assert client.command("INFO", "server") != first


@pytest.mark.parametrize("command", ["EVAL", "evalsha"])
def test_scripts_are_refused(raw: RawClient, command: str) -> None:
    """Also where fakeredis could run some. The reply says what to do; a transaction is undone."""
    with pytest.raises(RespError, match="^ERR unknown command 'EVAL': .* --bananas-redis-url$"):
        raw.command(command, "return 1", 0)
    assert raw.command("MULTI") == b"OK"
    with pytest.raises(RespError, match="^ERR unknown command 'EVAL': "):
        raw.command(command, "return 1", 0)
    with pytest.raises(RespError, match="^EXECABORT "):
        raw.command("EXEC")


def test_what_is_no_protocol_ends_the_connection(raw: RawClient) -> None:
    """With an error reply, as from Redis."""
    raw.socket.sendall(b"GET / HTTP/1.1\r\n")
    with pytest.raises(RespError, match="ERR unknown command"):
        raw.receive()
    with pytest.raises(EOFError):
        raw.receive()


# -- messages --------------------------------------------------------------------------------------


def test_messages_go_from_one_connection_to_another(raw: RawClient, other: RawClient) -> None:
    """To subscribers only, in order, until they unsubscribe."""
    assert raw.command("SUBSCRIBE", "a") == [b"subscribe", b"a", 1]
    assert raw.command("SUBSCRIBE", "b") == [b"subscribe", b"b", 2]
    assert other.command("PUBLISH", "a", "1") == 1
    assert other.command("PUBLISH", "b", "2") == 1
    assert raw.receive() == [b"message", b"a", b"1"]
    assert raw.receive() == [b"message", b"b", b"2"]
    assert raw.command("PING") == [b"pong", b""]
    assert raw.command("UNSUBSCRIBE", "a") == [b"unsubscribe", b"a", 1]
    assert other.command("PUBLISH", "a", "3") == 0
    assert other.command("PUBSUB", "NUMSUB", "a", "b") == [b"a", 0, b"b", 1]


def test_a_thousand_channels(raw: RawClient, other: RawClient) -> None:
    """In one command, each with its confirmation and its message."""
    names = [b"channel:%d" % n for n in range(1000)]
    raw.send("SUBSCRIBE", *names)
    assert [raw.receive()[1] for _ in names] == names
    for name in names:
        other.send("PUBLISH", name, "ready")
    assert [other.receive() for _ in names] == [1] * 1000
    assert [raw.receive() for _ in names] == [[b"message", name, b"ready"] for name in names]
    raw.send("UNSUBSCRIBE", *names)
    assert [raw.receive()[2] for _ in names] == list(reversed(range(1000)))


def test_a_subscriber_that_went_away_is_forgotten(embedded: EmbeddedBroker, raw: RawClient) -> None:
    """Nobody receives what is published then."""
    with RawClient(embedded.port) as subscriber:
        subscriber.command("SUBSCRIBE", "a")
        assert raw.command("PUBLISH", "a", "1") == 1
    wait_until(lambda: raw.command("PUBLISH", "a", "1") == 0, "the subscriber is forgotten")


# -- killing connections ---------------------------------------------------------------------------


def test_a_killed_connection_is_closed_and_does_nothing_more(
    raw: RawClient, other: RawClient
) -> None:
    """Neither what is on its way nor what is sent later is carried out."""
    victim = other.command("CLIENT", "ID")
    other.command("MULTI")
    other.command("SET", "a", "1")
    assert raw.command("CLIENT", "KILL", "ID", victim) == 1
    with pytest.raises((EOFError, ConnectionError)):
        other.command("EXEC")
    assert raw.command("EXISTS", "a") == 0
    assert raw.command("CLIENT", "KILL", "ID", victim) == 0


def test_a_blocked_connection_can_be_killed(
    embedded: EmbeddedBroker, raw: RawClient, other: RawClient
) -> None:
    """It waits no longer."""
    victim = other.command("CLIENT", "ID")
    other.send("BRPOP", "nothing", 0)
    wait_until(lambda: any(c.socket._blocked for c in _connections(embedded)), "BRPOP blocks")
    raw.command("CLIENT", "KILL", "ID", victim)
    assert ends(other)


def test_a_connection_may_kill_itself(raw: RawClient, other: RawClient) -> None:
    """It reads the reply before it is closed, and what it sent after that is not carried out."""
    kill = ("CLIENT", "KILL", "ID", raw.command("CLIENT", "ID"), "SKIPME", "no")
    raw.socket.sendall(encode_command(*kill) + encode_command("SET", "a", "1"))
    assert raw.receive() == 1
    with pytest.raises(EOFError):
        raw.receive()
    assert other.command("EXISTS", "a") == 0


async def test_a_client_survives_the_loss_of_its_connections(embedded: EmbeddedBroker) -> None:
    """It finds out what became of a submit, as on a real Redis."""
    async with AsyncClient(embedded.url) as client:
        first = await client.submit_job("work", {})
        with RawClient(embedded.port) as raw:
            raw.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            second = await client.submit_job("work", {})
            assert raw.command("LRANGE", "bananas:queue:normal", 0, -1) == [
                second.encode(),
                first.encode(),
            ]
