"""Whatever goes wrong, nothing that a client says holds a password or a payload."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Awaitable, Callable, Dict, List
from urllib.parse import quote

import pytest

from bananas import AsyncClient, Client, Job, JobPriority, JobResult, JobSpec, JobStatus
from tests.support import (
    Cut,
    CutAfterBytes,
    CutReply,
    FaultProxy,
    HoldReply,
    Inject,
    LoseReply,
    LoseReplySilently,
    RedisServer,
    Signal,
    command,
)

from .ears import Ears
from .timing import eventually
from .worker import FIELDS, channel, document, store

_PASSWORD = "hush/h@sh: %41-xyzzy"
_WRONG = "wrong-xyzzy"
_DATA = "plugh-warg"
_KEY = "key"
_SECRETS = ["xyzzy", "plugh", _PASSWORD, quote(_PASSWORD, safe="")]
_PAYLOAD: Any = {_KEY: [_DATA * 20, {_KEY: _DATA}]}


async def _first_completed(client: AsyncClient) -> JobResult[Any]:
    """Return the first result; a client that is closed refuses to begin."""
    return await client.as_completed(["job"], 0.3).__anext__()


class Stage:
    """A server with a password, a proxy before it, and somebody who listens."""

    def __init__(self, server: RedisServer, proxy: FaultProxy, ears: Ears) -> None:
        self.server = server
        self.proxy = proxy
        self.ears = ears

    def client(self, **settings: Any) -> AsyncClient:
        """Return a client that gives up soon."""
        limits = {
            "connect_timeout": 0.5,
            "submit_timeout": 0.6,
            "read_timeout": 0.6,
            "ping_interval": 0.2,
        }
        return AsyncClient(self.proxy.url(), **{**limits, **settings})

    async def attempt(self, *calls: Awaitable[Any]) -> None:
        """Hear what becomes of some calls at once."""
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, BaseException):
                self.ears.hear_error(outcome)
            else:
                self.ears.hear(outcome)

    async def attempt_all(self, client: AsyncClient) -> None:
        """Hear what becomes of every kind of call."""
        hour = timedelta(hours=1)
        result: JobResult[Any] = JobResult("job", JobStatus.COMPLETED, _PAYLOAD)
        await self.attempt(
            client.submit_job("work", _PAYLOAD),
            client.submit_job("work", _PAYLOAD, job_id="job"),
            client.submit_job("work", _PAYLOAD, job_id="job", if_exists="raise"),
            client.submit_job_scheduled("work", _PAYLOAD, JobPriority.LOW, hour),
            client.submit_jobs([JobSpec("work", _PAYLOAD)] * 3),
            client.submit_and_wait("work", _PAYLOAD, timeout=0.2),
            client.get_job("job"),
            client.get_jobs(["job"]),
            client.get_results(["job"]),
            client.wait_for_result("job", 0.3),
            _first_completed(client),
            client.results.store_result(result),
            client.results.delete_result("job"),
        )
        self.hear_insides(client)

    def hear_insides(self, thing: Any) -> None:
        """Hear the representation of a client and of everything of ours in it."""
        seen: List[Any] = []
        todo = [thing]
        while todo and len(seen) < 1000:
            found = todo.pop()
            if any(found is other for other in seen):
                continue
            seen.append(found)
            self.ears.hear(found)
            for kind in type(found).__mro__:
                names = list(getattr(kind, "__slots__", ()))
                names += list(getattr(found, "__dict__", ()))
                for name in names:
                    value = getattr(found, name, None)
                    if type(value).__module__.startswith("bananas"):
                        todo.append(value)


async def _all_well(stage: Stage) -> None:
    async with stage.client() as client:
        await stage.attempt_all(client)
        job_id = await client.submit_job("work", _PAYLOAD)
        job = await client.get_job(job_id)
        assert job is not None
        assert job.payload == _PAYLOAD
        stage.ears.hear(job, JobSpec("work", _PAYLOAD), Job.create("work", _PAYLOAD))
        with stage.server.connect() as redis:
            store(redis, {job_id: dict(FIELDS, result=json.dumps(_PAYLOAD))})
        result = await client.wait_for_result(job_id)
        assert result.get_result() == _PAYLOAD
        stage.ears.hear(result)


async def _wrong_password(stage: Stage) -> None:
    url = stage.proxy.url(password=_WRONG)
    for address in (url, url.replace("//:", "//user:"), url.replace(f":{_WRONG}@", "")):
        client = AsyncClient(address, connect_timeout=0.5)
        await stage.attempt_all(client)
        await client.close()


async def _malformed_urls(stage: Stage) -> None:
    for url in (
        "redis://:{}@127.0.0.1:port/0",
        "redis://{}:port-xyzzy/0",
        "redis://h?{}",
        "redis://h?xyzzy=1&xyzzy=2",
        "redis://{},h2:1",
        "redis://:{}@h1:1,:{}@h2:2",
        "redis://:{}@a..b",
        "redis://xyzzy{}",
        "'redis://:{}@h'",
        "redis-cli -u redis://:{}@h",
        "redis://redis://:{}@h",
        "redis://:{}@127.0.0.1:99999",
        "redis://{}:1/0/0",
        "redis://u:{}@[::1/0",
        "redis://u:{}@h/0?password=xyzzy",
        "redis://u:{}@h/0?nonsense=xyzzy",
        "redis://u:{}@h/xyzzy",
        "xyzzy://u:{}@h/0",
        "{}",
        "redis://u:xyzzy#{}@h",
        "redis://u:xy%zzxyzzy{}@h",
        "redis://u:xyzzy/{}@h:6379",
        "unix://u:{}@",
    ):
        for password in (_PASSWORD, quote(_PASSWORD, safe="")):
            text = url.replace("{}", password)
            for make in (AsyncClient, Client):
                try:
                    made: Any = make(text, connect_timeout=0.2)
                except Exception as error:
                    stage.ears.hear_error(error)
                else:
                    stage.hear_insides(made)
                    if isinstance(made, AsyncClient):
                        await made.close()


async def _no_permission(stage: Stage) -> None:
    rights = ["~bananas:queue:*", "+@all"], ["~*", "&*", "+@all", "-mset"], ["~*", "+get"]
    for number, allowed in enumerate(rights):
        user = f"user{number}"
        stage.server.command("ACL", "SETUSER", user, "on", f">{_PASSWORD}", *allowed)
        url = stage.proxy.url(username=user, password=_PASSWORD)
        client = AsyncClient(url, connect_timeout=0.5, submit_timeout=0.6, read_timeout=0.6)
        await stage.attempt_all(client)
        await client.close()


async def _wrong_type(stage: Stage) -> None:
    for key in ("bananas:queue:normal", "bananas:queue:scheduled", "bananas:result:job"):
        stage.server.command("SET", key, "text")
    stage.server.command("LPUSH", "bananas:job:job", _DATA)
    async with stage.client() as client:
        await stage.attempt_all(client)


async def _out_of_memory(stage: Stage) -> None:
    stage.server.command("CONFIG", "SET", "maxmemory", "1")
    async with stage.client() as client:
        await stage.attempt_all(client)


async def _read_only(stage: Stage) -> None:
    stage.server.command("REPLICAOF", "127.0.0.1", "1")
    async with stage.client() as client:
        await stage.attempt_all(client)


async def _broken_connections(stage: Stage) -> None:
    for action in (
        LoseReply(reset=True), LoseReplySilently(), Cut(), CutAfterBytes(20), CutReply(2),
        Inject(b"-ERR junk\r\n", after=True), Inject(b"?junk\r\n"),
    ):  # fmt: skip
        for first in (b"MULTI", b"EXEC", b"HGETALL", b"GET", b"GETRANGE", b"SUBSCRIBE"):
            stage.proxy.on(command(first), action, times=2)
        client = stage.client()
        await stage.attempt(client.connect())
        await stage.attempt_all(client)
        await client.close()
        stage.proxy.clear()


async def _lost_for_good(stage: Stage) -> None:
    stage.proxy.on(command(b"EXEC"), LoseReply(), times=None)
    async with stage.client() as client:
        await stage.attempt_all(client)


async def _unreachable(stage: Stage) -> None:
    async with stage.client() as client:
        stage.proxy.refuse()
        stage.proxy.cut_all()
        await stage.attempt_all(client)
        stage.proxy.accept()
        stage.proxy.mute()
        await stage.attempt_all(client)


async def _silent(stage: Stage) -> None:
    async with stage.client() as client:
        stage.proxy.go_silent()
        await stage.attempt_all(client)


async def _dripping(stage: Stage) -> None:
    async with stage.client() as client:
        stage.proxy.drip(0.05)
        await stage.attempt_all(client)


async def _junk(stage: Stage) -> None:
    whole = json.dumps(_PAYLOAD)
    junk = [whole, whole[:-1], _DATA, "[" * 3000 + _DATA, document("job", payload=_PAYLOAD)[:-9]]
    junk += [document("job", **{name: _PAYLOAD}) for name in json.loads(document("job"))]
    async with stage.client() as client:
        with stage.server.connect() as redis:
            for text in junk:
                redis.command("SET", "bananas:job:job", text)
                await stage.attempt(client.get_job("job"), client.wait_for_result("job", 0.05))
            for name in ("status", "duration_ms", "result"):
                for value in (_DATA, whole[:-1], "NaN" + _DATA):
                    redis.command("DEL", "bananas:result:job")
                    store(redis, {"job": {**FIELDS, name: value}})
                    await stage.attempt(client.get_result("job"), client.wait_for_result("job", 1))
            redis.command("DEL", "bananas:result:job")
            wait = asyncio.ensure_future(client.wait_for_result("job", 0.5))
            await eventually(lambda: redis.command("PUBLISH", channel("job"), _DATA), "a listener")
            await stage.attempt(wait)


@dataclass
class _Shape:
    number: int
    text: str


async def _unfit_payloads(stage: Stage) -> None:
    class Secretive:
        def __repr__(self) -> str:
            return _DATA

    loop: List[Any] = [_DATA]
    loop.append(loop)
    deep: Any = _DATA
    for _ in range(20_000):
        deep = [deep]
    unfit: List[Any] = [
        {_KEY: Secretive()}, {_KEY: float("nan"), "x": _DATA}, loop, deep, _DATA.encode(),
        {_DATA}, {Secretive(): 1}, {1: _DATA, "1": _DATA}, {_KEY: {1.5: 2, (_DATA,): 3}},
        1 << 99999, {_KEY: "\ud800" + _DATA},
    ]  # fmt: skip
    async with stage.client() as client:
        for payload in unfit:
            await stage.attempt(
                client.submit_job("work", payload), client.submit_jobs([JobSpec("work", payload)])
            )
        for data in ({_KEY: _DATA}, _DATA, [_DATA], {"number": _DATA, "text": _DATA}):
            result: JobResult[Any] = JobResult("job", JobStatus.COMPLETED, data)
            for kind in (int, List[int], Dict[str, int], _Shape, bool):
                try:
                    result.get_result(kind)
                except Exception as error:
                    stage.ears.hear_error(error)


async def _cancelled_and_closed(stage: Stage) -> None:
    stage.proxy.on(command(b"EXEC"), HoldReply(Signal()), times=None)
    client = stage.client(submit_timeout=30)
    calls = [asyncio.ensure_future(client.submit_job("work", _PAYLOAD)) for _ in range(20)]
    await eventually(lambda: stage.proxy.commands["EXEC"], "a submit")
    for call in calls[:10]:
        call.cancel()
    stage.hear_insides(client)
    stage.ears.hear(*asyncio.all_tasks())
    for task in asyncio.all_tasks():
        for frame in task.get_stack():
            stage.ears.hear(frame)
    await client.close()
    await stage.attempt(*calls)
    await stage.attempt_all(client)


async def _forgotten(stage: Stage) -> None:
    client = stage.client()
    call = asyncio.ensure_future(client.submit_job("work", _PAYLOAD))
    await call
    wait = asyncio.ensure_future(client.wait_for_result("job", 60))
    await eventually(lambda: client.stats().listening, "the listener")
    wait.cancel()


async def _blocking(stage: Stage) -> None:
    def block() -> None:
        client = Client(stage.proxy.url(), submit_timeout=0.6, read_timeout=0.6)
        stage.hear_insides(client)
        client.submit_job("work", _PAYLOAD)
        stage.proxy.on(command(b"EXEC"), LoseReply(), times=None)
        try:
            client.submit_job("work", _PAYLOAD)
        except Exception as error:
            stage.ears.hear_error(error)
        client.close()

    await asyncio.get_running_loop().run_in_executor(None, block)


class _Provider:
    """Gives a wrong password, fails, or gives what is none."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def get_credentials(self) -> Any:
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


async def _credential_providers(stage: Stage) -> None:
    url = stage.proxy.url().replace(f":{quote(_PASSWORD, safe='')}@", "")
    assert "@" not in url
    for given in (
        (_PASSWORD,), (_WRONG,), ("user", _WRONG), RuntimeError(_WRONG), _WRONG, (1, _WRONG),
        {_WRONG: _WRONG}, (_WRONG, _WRONG, _WRONG),
    ):  # fmt: skip
        client = AsyncClient(url, connect_timeout=0.5, credential_provider=_Provider(given))
        await stage.attempt_all(client)
        await client.close()
    for settings in ({"credential_provider": _WRONG}, {"ssl_context": _WRONG}):
        try:
            AsyncClient(stage.proxy.url(), **settings)
        except ValueError as error:
            stage.ears.hear_error(error)


_SCENES = [
    _all_well, _wrong_password, _malformed_urls, _credential_providers, _no_permission,
    _wrong_type, _out_of_memory, _read_only, _broken_connections, _lost_for_good, _unreachable,
    _silent, _dripping, _junk, _unfit_payloads, _cancelled_and_closed, _forgotten, _blocking,
]  # fmt: skip


@pytest.mark.parametrize("scene", _SCENES, ids=lambda scene: scene.__name__.strip("_"))
def test_nothing_said_holds_a_secret(scene: Callable[[Stage], Awaitable[None]]) -> None:
    """No repr, message, chain of exceptions, log or warning has a password or a payload in it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0  # so that asyncio logs everything that it runs
        await scene(Stage(server, proxy, ears))

    with RedisServer(password=_PASSWORD) as server, FaultProxy(server) as proxy, Ears() as ears:
        asyncio.run(main())
    ears.check(*_SECRETS)


def test_unknown_command(redis_server: RedisServer) -> None:
    """A server without a command that a submit needs repeats its arguments; the client does not."""

    async def main() -> None:
        await Stage(server, proxy, ears).attempt_all(AsyncClient(proxy.url(), submit_timeout=0.6))

    renamed = ["--rename-command", "MSET", "", "--rename-command", "LPUSH", ""]
    with RedisServer(args=renamed) as server, FaultProxy(server) as proxy, Ears() as ears:
        asyncio.run(main())
    ears.check(*_SECRETS)
