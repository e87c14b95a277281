"""Deleting, requeuing and rescheduling one job is cut off, and loses and doubles nothing."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import timedelta
from typing import Any, Awaitable, Callable, Dict, List, NamedTuple

import pytest

from bananas import AsyncClient
from bananas import exceptions as exc
from bananas._operating import cancelling, finished_jobs
from tests.support import (
    Cut,
    FaultProxy,
    HoldReply,
    LoseReply,
    RedisServer,
    Signal,
    any_command,
    command,
)

from .letters import DEAD, QUEUE, bury
from .slow_scheduler import SlowScheduler
from .worker import document

pytestmark = pytest.mark.asyncio

SCHEDULED = "bananas:queue:scheduled"
LATER = timedelta(days=1)
FAULTS = {"request": Cut(before=True), "reply": LoseReply()}


class Operation(NamedTuple):
    """What is done to a job, and how to tell."""

    make: Callable[[RedisServer, str], None]
    call: Callable[[AsyncClient, str], Awaitable[Any]]
    outcome: Any
    again: Any
    places: List[str]
    read: bytes
    verb: bytes


def schedule(server: RedisServer, job_id: str) -> None:
    """Store a job that is due in an hour or so."""
    server.command("SET", f"bananas:job:{job_id}", document(job_id, status="scheduled"))
    server.command("ZADD", SCHEDULED, 4_000_000_000, job_id)


def letter(server: RedisServer, job_id: str) -> None:
    """Make a dead letter with a result."""
    bury(server, [job_id])
    server.command("HSET", f"bananas:result:{job_id}", "status", "failed")


OPERATIONS: Dict[str, Operation] = {
    "delete": Operation(
        letter, lambda client, job_id: client.delete(job_id), "deleted", "missing", [], b"WATCH",
        b"EXEC"
    ),
    "requeue": Operation(
        letter, lambda client, job_id: client.requeue(job_id), None, exc.JobNotFoundError,
        [QUEUE], b"WATCH", b"EXEC",
    ),
    "reschedule": Operation(
        schedule, lambda client, job_id: client.reschedule(job_id, LATER), "rescheduled",
        "rescheduled", [SCHEDULED], b"GET", b"EVAL",
    ),
}  # fmt: skip


def places(server: RedisServer, job_id: str) -> List[str]:
    """Return where a job stands, once for each time."""
    found = [
        key for key in (QUEUE, DEAD)
        for one in server.command("LRANGE", key, 0, -1) if one == job_id.encode()
    ]  # fmt: skip
    score = server.command("ZSCORE", SCHEDULED, job_id)
    return found + ([SCHEDULED] if score is not None else [])


def check(server: RedisServer, name: str, job_id: str) -> None:
    """Check that it was done, as a whole and once."""
    assert places(server, job_id) == OPERATIONS[name].places
    stored = server.command("GET", f"bananas:job:{job_id}")
    assert server.command("EXISTS", f"bananas:result:{job_id}") == 0
    if name == "delete":
        assert stored is None
    elif name == "requeue":
        assert b'"status":"pending"' in stored
    else:
        assert b'"scheduled_for"' in stored
        assert float(server.command("ZSCORE", SCHEDULED, job_id)) < 4_000_000_000


async def outcome_of(call: Awaitable[Any]) -> Any:
    """Return what a call returns, or the type of what it raises."""
    try:
        return await call
    except exc.BananasError as error:
        return type(error)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_cut_off_at_each_command(
    redis_server: RedisServer, proxy: FaultProxy, name: str, fault: str
) -> None:
    """The same call looks what was done, and does what was not."""
    operation = OPERATIONS[name]
    async with AsyncClient(proxy.url()) as client:
        await client.queue.depths()
        before = proxy.commands
        operation.make(redis_server, "clean")
        assert await operation.call(client, "clean") == operation.outcome
        check(redis_server, name, "clean")
        count = sum(proxy.commands.values()) - sum(before.values())
        assert count >= 8
        for at in range(count):
            job_id = f"job{at}"
            operation.make(redis_server, job_id)
            rule = proxy.on(any_command(), FAULTS[fault], skip=at)
            assert await operation.call(client, job_id) == operation.outcome, at
            await rule.wait_async()
            check(redis_server, name, job_id)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_cut_off_for_long(
    redis_server: RedisServer, proxy: FaultProxy, name: str, fault: str
) -> None:
    """Where nobody can look what was done, the error says so; the next call finds it out."""
    operation = OPERATIONS[name]
    operation.make(redis_server, "job")
    async with AsyncClient(proxy.url()) as client:
        skip = 1 if operation.verb == b"EVAL" else 0  # the first one asks for the right
        proxy.on(command(operation.verb), FAULTS[fault], times=3, skip=skip)
        if fault == "reply":  # it is done, and the looks at it are lost too
            proxy.on(command(operation.read), Cut(before=True), times=None, skip=1)
        with pytest.raises(exc.ConnectionError) as caught:
            await operation.call(client, "job")
        assert caught.value.sent
        proxy.clear()
        outcomes = [operation.again] if fault == "reply" else [operation.outcome]
        assert [await outcome_of(operation.call(client, "job"))] == outcomes
    check(redis_server, name, "job")


@pytest.mark.parametrize("name", OPERATIONS)
async def test_two_operators_at_once(redis_server: RedisServer, name: str) -> None:
    """One does it; the other finds it done."""
    operation = OPERATIONS[name]
    async with AsyncClient(redis_server.url()) as one, AsyncClient(redis_server.url()) as two:
        for number in range(20):
            job_id = f"job{number}"
            operation.make(redis_server, job_id)
            calls = (outcome_of(operation.call(client, job_id)) for client in (one, two))
            found = await asyncio.gather(*calls)
            assert operation.outcome in found
            assert set(found) <= {operation.outcome, operation.again}
            if operation.again != operation.outcome:
                assert found.count(operation.outcome) == 1
            check(redis_server, name, job_id)


async def test_raced_with_a_scheduler_that_pauses(
    redis_server: RedisServer, rng: random.Random
) -> None:
    """Each job stands in one place: in the set, at the new time, if that was said."""
    now = int(time.time())
    ids = [f"job{number}" for number in range(60)]
    dues = dict(zip(ids, rng.choices([now - 1, now, now + 1, now + 60], k=len(ids))))
    for job_id, due in dues.items():
        redis_server.command("SET", f"bananas:job:{job_id}", document(job_id, status="scheduled"))
        redis_server.command("ZADD", SCHEDULED, due, job_id)
    letters = [f"letter{number}" for number in range(30)]
    bury(redis_server, letters)
    port = redis_server.port
    async with SlowScheduler(port, every=0.1, pause=0.2, rng=rng) as scheduler:
        async with AsyncClient(redis_server.url()) as client:
            requeued = asyncio.gather(*map(client.requeue, letters))
            outcomes = await asyncio.gather(*(client.reschedule(one, LATER) for one in ids))
            await requeued
    told = dict(zip(ids, map(str, outcomes)))
    assert set(told.values()) <= {"rescheduled", "due"}  # due: on a machine that stands still
    done = [one for one in ids if told[one] == "rescheduled"]
    assert set(done) >= {one for one in ids if dues[one] == now + 60}
    assert scheduler.moved != []
    for job_id in done:
        assert places(redis_server, job_id) == [SCHEDULED]
        score = float(redis_server.command("ZSCORE", SCHEDULED, job_id))
        assert score >= now + LATER.total_seconds()
        assert b'"scheduled_for"' in redis_server.command("GET", f"bananas:job:{job_id}")
    for job_id in letters:
        assert places(redis_server, job_id) == [QUEUE]
    assert all(len(places(redis_server, job_id)) == 1 for job_id in ids)


class Once:
    """A time limit that lets one attempt begin, however slow the machine is."""

    def __init__(self) -> None:
        self._left = 1

    def __gt__(self, passed: float) -> bool:
        self._left -= 1
        return self._left >= 0


@pytest.mark.parametrize("name", OPERATIONS)
async def test_one_that_gives_up_after_a_lost_reply(
    redis_server: RedisServer, proxy: FaultProxy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was done, so nothing may say that it was not."""
    monkeypatch.setattr(cancelling, "_LIMIT", Once())
    monkeypatch.setattr(finished_jobs, "_TRIES", 1)
    operation = OPERATIONS[name]
    operation.make(redis_server, "job")
    async with AsyncClient(proxy.url()) as client:
        skip = 1 if operation.verb == b"EVAL" else 0  # the first one asks for the right
        proxy.on(command(operation.verb), LoseReply(), skip=skip)
        with pytest.raises(exc.TimeoutError, match="can't tell whether this was done") as caught:
            await operation.call(client, "job")
    check(redis_server, name, "job")
    assert not caught.value.not_done


@pytest.mark.parametrize("name", OPERATIONS)
async def test_one_that_gives_up_on_a_document_that_changes(
    redis_server: RedisServer, proxy: FaultProxy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that nothing was done, and nothing was."""
    monkeypatch.setattr(cancelling, "_LIMIT", Once())
    monkeypatch.setattr(finished_jobs, "_TRIES", 1)
    operation = OPERATIONS[name]
    operation.make(redis_server, "job")
    before = places(redis_server, "job")
    release = Signal()
    async with AsyncClient(proxy.url()) as client:
        rule = proxy.on(command(b"GET"), HoldReply(release))
        call = asyncio.ensure_future(operation.call(client, "job"))
        await rule.wait_async()
        changed = redis_server.command("GET", "bananas:job:job").replace(b"}", b',"new":1}', 1)
        redis_server.command("SET", "bananas:job:job", changed)
        release.set()
        with pytest.raises(exc.TimeoutError, match="kept changing; nothing was done") as caught:
            await call
    assert caught.value.not_done
    assert places(redis_server, "job") == before
    assert redis_server.command("GET", "bananas:job:job") == changed
