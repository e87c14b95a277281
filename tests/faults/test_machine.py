"""Whatever order submits, waits and faults come in, the client keeps its word."""

from __future__ import annotations

import asyncio
import functools
import random
import traceback
from typing import Any, Awaitable, Callable, Dict, List

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from bananas import AsyncClient
from tests.support import FaultProxy, LoseReply, LoseReplySilently, RedisServer, command
from tests.support.loop_thread import LoopThread

from .footprint import Footprint
from .record import Record
from .timing import MachineLag, eventually
from .trouble import Trouble
from .worker import finish

_LIMITS: Dict[str, Any] = {
    "connect_timeout": 1.0,
    "submit_timeout": 2.0,
    "read_timeout": 2.0,
    "ping_interval": 0.3,
}

_settings = settings(
    max_examples=15,
    stateful_step_count=30,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Machine(RuleBasedStateMachine):
    """A client on a loop of its own, and a model of what it has promised.

    Every step only starts something, so that what the steps start overlaps.
    """

    def __init__(self, server: RedisServer, proxy: FaultProxy, lag: MachineLag) -> None:
        super().__init__()
        self.server = server
        self.proxy = proxy
        self.record = Record(lag)
        self.rng = random.Random()
        self.trouble = Trouble(server, proxy, self.rng)
        self.thread = LoopThread("machine")
        self.thread.start()
        self.tasks = self.thread.call(lambda: len(asyncio.all_tasks()))
        self.calls: List[asyncio.Task[Any]] = []
        self.count = 0
        self.client = self.thread.call(self._make_client)

    def _make_client(self) -> AsyncClient:
        return AsyncClient(self.proxy.url(), **_LIMITS)

    def _start(self, call: Callable[[], Awaitable[Any]]) -> None:
        self.calls.append(self.thread.call(lambda: asyncio.ensure_future(call())))

    def _new_id(self) -> str:
        self.count += 1
        return f"job-{self.count}"

    @rule(chosen=st.booleans(), times=st.integers(1, 5))
    def submit(self, chosen: bool, times: int) -> None:
        for _ in range(times):
            job_id = self._new_id() if chosen else None
            self._start(functools.partial(self.record.submit, self.client, job_id))

    @rule()
    def submit_again(self) -> None:
        for job_id in sorted(self.record.unknown)[:1]:
            self._start(functools.partial(self.record.submit, self.client, job_id))

    @rule(delay=st.floats(0, 0.04), which=st.integers(0, 1000))
    def submit_and_cancel(self, delay: float, which: int) -> None:
        client, job_id = self.client, self._new_id() if which % 2 else None

        async def call() -> None:
            task = asyncio.ensure_future(self.record.submit(client, job_id))
            await asyncio.wait([task], timeout=delay)
            if task.cancel():
                await asyncio.wait([task])
                assert task.cancelled()
            else:
                task.result()

        self._start(call)

    @rule(timeout=st.floats(0.05, 1.5), number=st.integers(0, 5))
    def wait_for_a_result(self, timeout: float, number: int) -> None:
        job_id = f"awaited-{number}"
        self._start(functools.partial(self.record.wait, self.client, job_id, timeout))

    @rule(number=st.integers(0, 5))
    def store_result(self, number: int) -> None:
        with self.server.connect() as redis:
            finish(redis, [f"awaited-{number}"])
        self.record.finished.add(f"awaited-{number}")

    @rule(listener=st.booleans(), reset=st.booleans())
    def cut(self, listener: bool, reset: bool) -> None:
        self.proxy.cut_all(reset=reset, seen=b"SUBSCRIBE" if listener else None)

    @rule(times=st.integers(1, 3), silently=st.booleans(), first=st.sampled_from(["EXEC", "GET"]))
    def lose(self, times: int, silently: bool, first: str) -> None:
        loss = LoseReplySilently() if silently else LoseReply()
        self.proxy.on(command(first.encode()), loss, times=times)

    @rule(seed=st.integers(0, 1 << 30))
    def strike(self, seed: int) -> None:
        self.rng.seed(seed)
        self.trouble.strike()

    @rule()
    def restart(self) -> None:
        self.server.restart(keep_data=True)

    @rule()
    def close(self) -> None:
        old, self.client = self.client, self.thread.call(self._make_client)
        self._start(old.close)

    @rule()
    def settle(self) -> None:
        self.thread.run(self._settle)

    async def _settle(self) -> None:
        calls, self.calls = self.calls, []
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, BaseException):
                traceback.print_exception(type(outcome), outcome, outcome.__traceback__)
                raise outcome

    def teardown(self) -> None:
        try:
            self.trouble.end()
            self.thread.run(self._end)
            self.record.check(self.server)
        except BaseException:
            # Hypothesis says no more than "flaky" of what does not happen again.
            traceback.print_exc()
            raise
        finally:
            self.thread.run(lambda: self.client.close())
            self.thread.stop()
            self.trouble.end()
            self.server.command("FLUSHALL")

    async def _end(self) -> None:
        await self._settle()
        await self.record.resolve(self.client)
        await self.client.close()
        await eventually(lambda: self.proxy.connections_open == 0, "no connection")
        assert len(asyncio.all_tasks()) == self.tasks


def test_machine(seed: int) -> None:
    """Acknowledged: queued once; rejected: not queued; unknown and retried: once; waits in time."""
    data_kept = ["--appendonly", "yes", "--appendfsync", "always"]
    with RedisServer(args=data_kept) as server, FaultProxy(server) as proxy, MachineLag() as lag:
        before = Footprint.now()

        @hypothesis.seed(seed)
        def make() -> Machine:
            return Machine(server, proxy, lag)

        run: Any = run_state_machine_as_test
        run(make, settings=_settings)
        asyncio.run(
            eventually(
                lambda: server.command("CLIENT", "LIST").count(b"\n") == 1, "no connection left"
            )
        )
        asyncio.run(eventually(lambda: proxy.connections_open == 0, "none through the proxy"))
        after = Footprint.now()
    assert (after.threads, after.descriptors) == (before.threads, before.descriptors)
