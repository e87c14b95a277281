"""Whatever the address leads to meanwhile, a submit is queued once, or its caller is told so."""

from __future__ import annotations

import asyncio
from typing import Dict, Iterator, Sequence, Tuple

import pytest

from bananas import AsyncClient, Client
from bananas import exceptions as exc
from tests.support import (
    FaultProxy,
    Hold,
    LoseReply,
    RawClient,
    RedisServer,
    Signal,
    command,
)
from tests.support.faults import Action, Rule, Wire
from tests.support.framing import encode_command

from .inventory import Inventory, nothing_left, queued_once
from .submits import WAYS, Way
from .timing import eventually

every_way = pytest.mark.parametrize("submit", WAYS.values(), ids=WAYS.keys())


class Reply(Action):
    """Answer with a part of the true answer replaced by another."""

    def __init__(self, part: bytes, other: bytes) -> None:
        self._part = part
        self._other = other

    async def reply(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        rule.fire()
        wire.answer(frame.replace(self._part, self._other))


class Number(Action):
    """Tell a client that its connection has a number that is not the server's."""

    def __init__(self, number: int) -> None:
        self._number = number

    async def reply(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        rule.fire()
        wire.answer(b":%d\r\n" % self._number)


class NoSuchClient(Action):
    """Ask the server to end a connection that it does not have."""

    async def request(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        rule.fire()
        wire.forward(encode_command("CLIENT", "KILL", "ID", 1 << 40))


class Unknown(Action):
    """Let a command be one that the server does not know."""

    async def request(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        rule.fire()
        wire.forward(encode_command("NO-SUCH-COMMAND"))


@pytest.fixture
def replica(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A replica of ``redis_server``."""
    with RedisServer(replica_of=redis_server) as replica:
        yield replica


@every_way
@pytest.mark.asyncio
async def test_address_leads_to_a_replica_for_a_while(
    redis_server: RedisServer, proxy: FaultProxy, replica: RedisServer, submit: Way
) -> None:
    """A replica's word proves nothing: a request that is held back may still reach the primary."""
    release = Signal()
    async with AsyncClient(proxy.url(), submit_timeout=5) as client:
        held = proxy.on(command(b"MULTI"), Hold(release))
        task = asyncio.ensure_future(submit(client, None))
        await held.wait_async()
        opened = proxy.connections_opened
        proxy.upstream = replica.port
        await proxy.wait_async(lambda: proxy.connections_opened >= opened + 3, what="a new link")
        assert not task.done()
        proxy.upstream = redis_server.port
        ids = await task
        release.set()
        assert await submit(client, ids[0]) == [ids[0]]
    queued_once(redis_server, *ids)


@pytest.mark.asyncio
async def test_address_leads_to_a_replica_for_good(
    redis_server: RedisServer, proxy: FaultProxy, replica: RedisServer
) -> None:
    """A submit that only the primary could tell of is unknown at its deadline."""
    release = Signal()
    async with AsyncClient(proxy.url(), submit_timeout=1.5) as client:
        held = proxy.on(command(b"MULTI"), Hold(release))
        task = asyncio.ensure_future(client.submit_job("work", None))
        await held.wait_async()
        proxy.upstream = replica.port
        with pytest.raises(exc.OutcomeUnknownError) as caught:
            await task
        nothing_left(redis_server)
        release.set()
        await eventually(lambda: Inventory(redis_server).queued, "the held one")
    queued_once(redis_server, str(caught.value.job_id))


@pytest.mark.asyncio
async def test_address_leads_to_another_primary(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """What the old primary had not applied is queued on the new one."""
    release = Signal()
    with RedisServer() as other:
        async with AsyncClient(proxy.url(), submit_timeout=5) as client:
            held = proxy.on(command(b"MULTI"), Hold(release))
            task = asyncio.ensure_future(client.submit_job("work", None))
            await held.wait_async()
            proxy.upstream = other.port
            queued_once(other, await task)


@pytest.mark.parametrize("second", [99, 100, 7, 0])
@every_way
@pytest.mark.asyncio
async def test_proxies_that_number_connections_themselves(
    redis_server: RedisServer, proxy: FaultProxy, submit: Way, second: int
) -> None:
    """Where the new connection's number is not the higher, "no such connection" proves nothing."""
    release = Signal()
    proxy.on(command(b"CLIENT", b"ID"), Number(100))
    async with AsyncClient(proxy.url(), submit_timeout=1.5) as client:
        proxy.on(command(b"CLIENT", b"ID"), Number(second), times=None)
        killed = proxy.on(command(b"CLIENT", b"KILL"), NoSuchClient(), times=None)
        held = proxy.on(command(b"MULTI"), Hold(release))
        with pytest.raises(exc.OutcomeUnknownError) as caught:
            await submit(client, None)
        assert held.fired == 1
        assert killed.fired == 0
        proxy.clear()
        ids = set(caught.value.job_ids)
        release.set()
        await eventually(lambda: ids <= Inventory(redis_server).documents, "the first")
        for job_id in ids:
            assert await submit(client, job_id) == [job_id]
    queued_once(redis_server, *Inventory(redis_server).documents)


@every_way
@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.asyncio
async def test_server_without_a_run_id(
    redis_server: RedisServer, proxy: FaultProxy, submit: Way, applied: bool
) -> None:
    """Where the server has no run id, what was applied is found; else it is unknown, at worst."""
    proxy.on(command(b"INFO"), Reply(b"run_id", b"ran_id"), times=None)
    release = Signal()
    async with AsyncClient(proxy.url(), submit_timeout=1.5) as client:
        if applied:
            proxy.on(command(b"EXEC"), LoseReply())
            queued_once(redis_server, *await submit(client, None))
            return
        proxy.on(command(b"MULTI"), Hold(release))
        with pytest.raises(exc.OutcomeUnknownError) as caught:
            await submit(client, None)
        ids = set(caught.value.job_ids)
        release.set()
        await eventually(lambda: ids <= Inventory(redis_server).documents, "the first")
    queued_once(redis_server, *Inventory(redis_server).documents)


@pytest.mark.asyncio
async def test_server_that_only_calls_itself_a_cluster(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """A server that keeps all keys together can run the queue, whatever it calls itself."""
    proxy.on(command(b"HELLO"), Reply(b"$10\r\nstandalone", b"$7\r\ncluster"), times=None)
    async with AsyncClient(proxy.url()) as client:
        queued_once(redis_server, await client.submit_job("work", None))


@pytest.mark.parametrize("prefix", ["bananas:", "jobs:", ""])
def test_cluster_that_keeps_keys_apart(prefix: str) -> None:
    """A real cluster is refused, whatever the prefix is."""
    with RedisServer(args=["--cluster-enabled", "yes"]) as server:
        server.command("CLUSTER", "ADDSLOTS", *range(16384))
        with pytest.raises(exc.ConnectionError, match="is a Redis Cluster") as caught:
            Client(server.url(), key_prefix=prefix)
        assert caught.value.permanent


# -- transactions that are refused from the start -------------------------------------------------

Refusal = Tuple[Sequence[str], Sequence[str]]

#: What is refused, and how: arguments of the server, and rights of the user.
REFUSALS: Dict[str, Refusal] = {
    "MULTI by ACL": ((), ("+@all", "-multi")),
    "MULTI and DISCARD by ACL": ((), ("+@all", "-multi", "-discard")),
    "EXEC by ACL": ((), ("+@all", "-exec")),
    "EXEC and DISCARD by ACL": ((), ("+@all", "-exec", "-discard")),
    "all but MULTI by ACL": ((), ("+@all", "-@transaction", "+multi")),
    "MULTI forgotten": (
        (), ("+exec", "+mset", "+lpush", "+zadd", "+watch", "+exists", "+get", "+discard"),
    ),
    "MULTI renamed": (("MULTI",), ("+@all",)),
    "EXEC renamed": (("EXEC",), ("+@all",)),
    "MULTI and EXEC renamed": (("MULTI", "EXEC"), ("+@all",)),
    "EXEC and DISCARD renamed": (("EXEC", "DISCARD"), ("+@all",)),
}  # fmt: skip
LISTS = [b"bananas:queue:high", b"bananas:queue:normal", b"bananas:queue:low",
         b"bananas:route:gpu:queue:normal"]  # fmt: skip


class Reader:
    """A worker that is blocked on the lists, and takes what is pushed."""

    def __init__(self, server: RedisServer) -> None:
        self._client = RawClient(server.port)
        self._client.send("BLPOP", *LISTS, 0)

    def end(self) -> object:
        """Return what it got: the end of the line is pushed by us."""
        with RawClient(self._client.socket.getpeername()[1]) as redis:
            redis.command("LPUSH", LISTS[0], "nothing")
        got = self._client.receive()
        self._client.close()
        return got


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.asyncio
async def test_transactions_are_refused_from_the_start(refusal: Refusal) -> None:
    """Nothing is written that a blocked worker could take, and the caller is told why."""
    renamed, rights = refusal
    args = [part for name in renamed for part in ("--rename-command", name, "")]
    with RedisServer(args=args) as server:
        server.command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "&*", *rights)
        reader = Reader(server)
        async with AsyncClient(server.url(0, "bob", "pw"), submit_timeout=20) as client:
            for name, submit in WAYS.items():
                if name == "scheduled" and "+@all" not in rights:
                    continue
                with pytest.raises(exc.JobRejectedError) as caught:
                    await submit(client, None)
                assert caught.value.code in ("NOPERM", "ERR")
            # What shares a pipeline with reads is refused alike, and the reads are answered.
            outcomes = await asyncio.gather(
                client.submit_job("work", None), client.get_job("job"), return_exceptions=True
            )
            assert isinstance(outcomes[0], exc.JobRejectedError)
            assert outcomes[1] is None
        assert reader.end() == [LISTS[0], b"nothing"]
        nothing_left(server)


@pytest.mark.parametrize("refused", [(b"MULTI",), (b"EXEC",), (b"MULTI", b"EXEC")])
def test_proxy_that_knows_no_transactions(
    redis_server: RedisServer, proxy: FaultProxy, refused: Sequence[bytes]
) -> None:
    """The same holds where something between the two does not know the command."""
    for name in refused:
        proxy.on(command(name), Unknown(), times=None)
    reader = Reader(redis_server)
    with Client(proxy.url()) as client:
        for _ in range(3):
            with pytest.raises(exc.JobRejectedError, match="ERR unknown command"):
                client.submit_job("work", None)
        assert client.get_job("job") is None
    assert reader.end() == [LISTS[0], b"nothing"]
    nothing_left(redis_server)


def test_right_to_nothing_but_reading(own_server: RedisServer) -> None:
    """A user who may only read can read, though no transaction could be left again."""
    own_server.command("ACL", "SETUSER", "bob", "on", ">pw", "~*", "+multi", "+get")
    with Client(own_server.url(0, "bob", "pw")) as client:
        with pytest.raises(exc.JobRejectedError, match="NOPERM"):
            client.submit_job("work", None)
        assert client.get_job("job") is None
