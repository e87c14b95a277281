"""A submit that Redis refuses fails in one attempt, leaves nothing behind, and harms no other."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Awaitable, Callable, Iterator, List

import pytest

from bananas import AsyncClient, JobPriority, JobSpec
from bananas import exceptions as exc
from tests.support import Cut, FaultProxy, LoseReply, RedisServer, RespError, command

from .inventory import nothing_left, queued_once
from .submits import WAYS, refused_at_the_deadline
from .timing import TOLERANCE, MachineLag

pytestmark = pytest.mark.asyncio

SECRET = "hunter2-and-more"
LOW, NORMAL, HIGH = (f"bananas:queue:{name}" for name in ("low", "normal", "high"))

every_way = pytest.mark.parametrize("name", ["single", "scheduled", "idempotent"])


@pytest.fixture
def own_proxy(own_server: RedisServer) -> Iterator[FaultProxy]:
    """A proxy in front of ``own_server``."""
    with FaultProxy(own_server) as proxy:
        yield proxy


async def _rejected(client: AsyncClient, name: str, code: str) -> exc.JobRejectedError:
    with pytest.raises(exc.JobRejectedError) as caught:
        await WAYS[name](client, None)
    assert caught.value.code == code
    assert caught.value.job_id is not None
    return caught.value


@every_way
async def test_queue_of_the_wrong_type(
    redis_server: RedisServer, proxy: FaultProxy, name: str
) -> None:
    """A job whose list or set holds something else is refused, and its document taken back."""
    target = {"single": NORMAL, "scheduled": "bananas:queue:scheduled", "idempotent": HIGH}[name]
    redis_server.command("SET", target, "not a queue")
    async with AsyncClient(proxy.url()) as client:
        error = await _rejected(client, name, "WRONGTYPE")
        nothing_left(redis_server, target)
        assert target in str(error)
        assert (proxy.commands["EXEC"], proxy.connections_opened) == (1, 1)
        redis_server.command("DEL", target)
        queued_once(redis_server, *await WAYS[name](client, None))


@every_way
@pytest.mark.parametrize("lost", [b"DEL", b"EXEC"])
async def test_queue_of_the_wrong_type_and_a_lost_reply(
    redis_server: RedisServer, proxy: FaultProxy, name: str, lost: bytes
) -> None:
    """The same holds when the reply to either half of it is lost."""
    for key in (NORMAL, HIGH, "bananas:queue:scheduled"):
        redis_server.command("SET", key, "not a queue")
    async with AsyncClient(proxy.url()) as client:
        rule = proxy.on(command(lost), LoseReply())
        await _rejected(client, name, "WRONGTYPE")
        assert rule.fired == 1
        nothing_left(redis_server, NORMAL, HIGH, "bananas:queue:scheduled")


async def test_queue_of_the_wrong_type_and_an_undoing_that_never_arrives(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """Nobody is told of a refusal before what it left is taken back."""
    redis_server.command("SET", NORMAL, "not a queue")
    async with AsyncClient(proxy.url()) as client:
        proxy.on(command(b"DEL"), Cut(before=True), times=2)
        await _rejected(client, "single", "WRONGTYPE")
        nothing_left(redis_server, NORMAL)


@every_way
async def test_out_of_memory(own_server: RedisServer, own_proxy: FaultProxy, name: str) -> None:
    """A job for which there is no memory is refused, and nothing of it is written."""
    own_server.command("CONFIG", "SET", "maxmemory", "1")
    async with AsyncClient(own_proxy.url()) as client:
        await _rejected(client, name, "OOM")
        assert (own_proxy.commands["EXEC"], own_proxy.connections_opened) == (1, 1)
        nothing_left(own_server)
        own_server.command("CONFIG", "SET", "maxmemory", "0")
        queued_once(own_server, *await WAYS[name](client, None))


@every_way
@pytest.mark.parametrize(
    "rules",
    [
        ["~bananas:queue:*", "+@all"],
        ["~bananas:job:*", "+@all"],
        ["~*", "+@all", "-multi"],
        ["~*", "+@all", "-@transaction"],
        ["~*", "+@all", "-mset"],
        ["~*", "+@all", "-lpush", "-zadd"],
        ["~*", "+@all", "-exec"],
    ],
    ids=[
        "no documents",
        "no lists",
        "no MULTI",
        "no transactions",
        "no MSET",
        "no LPUSH, no ZADD",
        "no EXEC",
    ],
)
async def test_without_permission(
    own_server: RedisServer, own_proxy: FaultProxy, name: str, rules: List[str]
) -> None:
    """A user who lacks a right is refused, nothing is written, and nobody is told the password."""
    own_server.command("ACL", "SETUSER", "bob", "on", f">{SECRET}", "&*", *rules)
    async with AsyncClient(own_proxy.url(0, "bob", SECRET)) as client:
        with pytest.raises(exc.JobRejectedError, match="NOPERM") as caught:
            await WAYS[name](client, None)
        assert SECRET not in f"{caught.value!r} {caught.value} {client!r}"
        nothing_left(own_server)
        assert own_proxy.commands["EXEC"] <= 1
        assert own_proxy.connections_opened == 1
        own_server.command("ACL", "SETUSER", "bob", "~*", "+@all")
        again = await WAYS[name](client, None)
    queued_once(own_server, *again)


async def test_no_right_to_transactions(own_server: RedisServer, own_proxy: FaultProxy) -> None:
    """Without MULTI nothing is sent that a worker could take before it is undone."""
    rules = ["~*", "+@all", "-@transaction"]
    own_server.command("ACL", "SETUSER", "bob", "on", f">{SECRET}", "&*", *rules)
    async with AsyncClient(own_proxy.url(0, "bob", SECRET)) as client:
        for name in WAYS:
            with pytest.raises(exc.JobRejectedError, match="NOPERM"):
                await WAYS[name](client, None)
        assert await client.get_job("some-job") is None
        assert own_proxy.commands["MSET"] == 0


async def test_user_with_no_right_too_many(own_server: RedisServer) -> None:
    """The commands that the client needs are enough; without others it does as well as it can."""
    needed = ["+multi", "+exec", "+mset", "+lpush", "+zadd", "+watch", "+exists", "+get"]
    own_server.command("ACL", "SETUSER", "bob", "on", ">pw", "~bananas:*", "&*", *needed)
    async with AsyncClient(own_server.url(0, "bob", "pw")) as client:
        ids = [job_id for submit in WAYS.values() for job_id in await submit(client, None)]
        assert await client.get_job("some-job") is None
    queued_once(own_server, *ids)


async def test_right_to_transactions_taken_away(
    own_server: RedisServer, own_proxy: FaultProxy
) -> None:
    """What is written without a transaction, by a connection that once had the right, is undone."""
    own_server.command("ACL", "SETUSER", "bob", "on", f">{SECRET}", "&*", "~*", "+@all")
    async with AsyncClient(own_proxy.url(0, "bob", SECRET)) as client:
        own_server.command("ACL", "SETUSER", "bob", "-multi")
        for name in WAYS:
            with pytest.raises(exc.JobRejectedError, match="NOPERM"):
                await WAYS[name](client, None)
            nothing_left(own_server)


async def test_wrong_password(own_server: RedisServer, own_proxy: FaultProxy) -> None:
    """A wrong password fails in one attempt for each call, at once, and is not shown."""
    own_server.command("ACL", "SETUSER", "bob", "on", ">right", "~*", "&*", "+@all")
    url = own_proxy.url(0, "bob", SECRET)
    loop = asyncio.get_running_loop()
    start = loop.time()
    client = AsyncClient(url)
    try:
        calls: List[Callable[[], Awaitable[object]]] = [
            client.connect,
            lambda: client.submit_job("work", None),
            lambda: client.get_job("job"),
        ]
        for attempts, call in enumerate(calls):
            with pytest.raises(exc.AuthenticationError) as caught:
                await call()
            chain: Any = caught.value
            while chain is not None:
                assert SECRET not in f"{chain!r} {chain}"
                chain = chain.__cause__ or chain.__context__
            assert own_proxy.connections_opened == attempts + 1
        assert SECRET not in repr(client)
    finally:
        await client.close()
    assert loop.time() - start < 3
    nothing_left(own_server)


async def test_bad_job_in_a_shared_transaction(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    """Callers whose jobs share a transaction with one that is refused are not concerned."""
    redis_server.command("SET", LOW, "not a queue")
    async with AsyncClient(proxy.url()) as client:
        plain = [(priority, None) for priority in JobPriority for _ in range(10)]
        chosen = [
            (priority, f"{priority.value}-{n}") for priority in JobPriority for n in range(10)
        ]
        outcomes = await asyncio.gather(
            *[client.submit_job("work", 1, p, job_id=job_id) for p, job_id in [*plain, *chosen]],
            client.submit_job_scheduled("work", None, JobPriority.LOW, timedelta(hours=1)),
            return_exceptions=True,
        )
        assert proxy.commands["EXEC"] == 2
    submitted = [outcome for outcome in outcomes if isinstance(outcome, str)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, exc.JobRejectedError)]
    assert (len(submitted), len(refused)) == (41, 20)
    assert {error.code for error in refused} == {"WRONGTYPE"}
    redis_server.command("DEL", LOW)
    queued_once(redis_server, *submitted)


async def test_bad_job_in_a_submit_of_many(redis_server: RedisServer) -> None:
    """The error of a submit of many says which jobs were refused and which were queued."""
    redis_server.command("SET", LOW, "not a queue")
    async with AsyncClient(redis_server.url()) as client:
        specs = [
            JobSpec("work", number, priority) for number in range(5) for priority in JobPriority
        ]
        with pytest.raises(exc.JobRejectedError) as caught:
            await client.submit_jobs(specs)
    assert (len(caught.value.job_ids), len(caught.value.submitted)) == (5, 10)
    redis_server.command("DEL", LOW)
    queued_once(redis_server, *caught.value.submitted)


def _may_read(server: RedisServer, pattern: str) -> None:
    """Let bob read keys that he may not write; below 7.0 nobody can have the one without the
    other, which is checked."""
    try:
        server.command("ACL", "SETUSER", "bob", f"%R~{pattern}")
    except RespError:
        assert b"redis_version:6." in server.command("INFO", "server")


@pytest.mark.parametrize("readable", [False, True], ids=["not readable", "readable"])
async def test_job_without_permission_in_a_shared_transaction(
    own_server: RedisServer, readable: bool
) -> None:
    """Callers who may write share transactions with those who may not."""
    rules = ["~bananas:queue:*", "~bananas:job:*[02468]", "~bananas:route:cpu:*", "+@all"]
    own_server.command("ACL", "SETUSER", "bob", "on", ">pw", "&*", *rules)
    if readable:
        _may_read(own_server, "bananas:job:*")
    allowed, refused = [], []
    async with AsyncClient(own_server.url(0, "bob", "pw")) as client:

        async def submit(number: int, route: str) -> None:
            job_id = f"{route}-{number}"
            try:
                await client.submit_job("work", None, job_id=job_id, routing_key=route)
                allowed.append(job_id)
            except exc.JobRejectedError as error:
                assert (error.code, error.job_id) == ("NOPERM", job_id)
                refused.append(job_id)

        await asyncio.gather(*[submit(i, route) for i in range(10) for route in ("cpu", "gpu")])
    assert sorted(allowed) == [f"cpu-{number}" for number in range(0, 10, 2)]
    assert len(refused) == 15
    queued_once(own_server, *allowed)


@every_way
async def test_read_only_for_a_while(
    own_server: RedisServer, own_proxy: FaultProxy, name: str
) -> None:
    """A job meant for a primary that has become a replica is queued when that is promoted."""
    async with AsyncClient(own_proxy.url()) as client:
        own_server.command("REPLICAOF", "127.0.0.1", "1")
        submit = asyncio.ensure_future(WAYS[name](client, None))
        await own_proxy.wait_async(lambda: own_proxy.connections_opened >= 3, what="new links")
        assert not submit.done()
        nothing_left(own_server)
        own_server.command("REPLICAOF", "NO", "ONE")
        queued_once(own_server, *await submit)
        assert client.stats().reconnects >= 2
    assert own_proxy.connections_opened <= 20


@every_way
async def test_read_only_for_good(
    own_server: RedisServer, own_proxy: FaultProxy, name: str
) -> None:
    """A replica that is not promoted refuses the job at the deadline, without being hammered."""
    timeout = 0.6
    own_server.command("REPLICAOF", "127.0.0.1", "1")
    async with AsyncClient(own_proxy.url(), submit_timeout=timeout) as client:
        with MachineLag() as lag:
            start = asyncio.get_running_loop().time()
            # Unknown, if the last attempt is under way just then.
            with pytest.raises((exc.JobRejectedError, exc.OutcomeUnknownError)) as caught:
                await WAYS[name](client, None)
            took = asyncio.get_running_loop().time() - start
        assert timeout <= took <= timeout + TOLERANCE + lag.allowance
    assert getattr(caught.value, "code", "READONLY") == "READONLY"
    assert own_proxy.connections_opened <= 15
    nothing_left(own_server)


@every_way
@pytest.mark.parametrize("company", [False, True], ids=["alone", "beside reads"])
async def test_replica_that_may_not_serve_old_data(
    own_server: RedisServer, name: str, company: bool
) -> None:
    """A replica without its primary refuses the job at the deadline, and the job is not unknown,
    whichever commands of ours it refuses too."""
    async with AsyncClient(own_server.url(), submit_timeout=2, read_timeout=2) as client:
        own_server.command("CONFIG", "SET", "replica-serve-stale-data", "no")
        own_server.command("REPLICAOF", "127.0.0.1", "1")
        reads = [asyncio.ensure_future(client.get_job("job")) for _ in range(3 if company else 0)]
        # Which refusal the server thinks of first depends on the command.
        error = await refused_at_the_deadline(client, WAYS[name])
        assert error.code == ("MASTERDOWN" if name == "idempotent" else "READONLY")
        assert error.job_id is not None
        for read in reads:
            with pytest.raises(exc.ServerError, match="MASTERDOWN"):
                await read
        own_server.command("REPLICAOF", "NO", "ONE")
        nothing_left(own_server)
        queued_once(own_server, *await WAYS[name](client, None))
