"""Drives the waits' state machine against a model, by choices that somebody else makes."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence

from bananas import (
    BananasError,
    ConnectionError,
    JobNotFoundError,
    JobResult,
    ResultNotFoundError,
    TimeoutError,
)
from bananas._waits.registry import AwaitedJob, State, Wait
from bananas._waits.state_machine import StateMachine
from tests.unit.waits.model import Server, Work

__all__ = ["Driver"]

SAFETY_INTERVAL = 3.0
#: How long after the end of all trouble a wait whose job has ended may go on.
_SETTLES_WITHIN = 2 * SAFETY_INTERVAL + 4
_ENDS = ["success", "no result", "dead", "dead without a result"]


class _Read:
    """A read on its way: first not executed, then executed and not answered."""

    def __init__(self, execute: Callable[[], Callable[[], None]], fail: Callable[[], None]) -> None:
        self.execute = execute
        self.fail = fail
        self.answer: Optional[Callable[[], None]] = None


class Driver:
    """Lets the server, the workers, the network and the callers take steps.

    Args:
        choose: Given a number n, returns one from 0 to n - 1.
    """

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self.server = Server()
        self.machine = StateMachine(self, safety_interval=SAFETY_INTERVAL)
        self.works: Dict[str, Work] = {}
        self.waits: List[Wait] = []
        self._limits: Dict[Wait, float] = {}
        self._may_be_missing: Dict[Wait, bool] = {}
        self._wanted: Dict[str, None] = {}
        self._subscribing: List[str] = []
        self._confirmations: List[str] = []
        self._is_connected = False
        self._reads: List[_Read] = []
        self._wake_at: Optional[float] = None

    # -- effects ---------------------------------------------------------------------------------

    def subscribe(self, job_id: str) -> None:
        assert job_id not in self._wanted
        self._wanted[job_id] = None
        if job_id in self.server.subscribed and job_id not in self._subscribing:
            self.machine.confirmed([job_id])  # its UNSUBSCRIBE was not sent yet
        elif self._is_connected:
            self._subscribing.append(job_id)

    def unsubscribe(self, job_id: str) -> None:
        del self._wanted[job_id]

    def read_results(self, jobs: Sequence[AwaitedJob]) -> None:
        def execute() -> Callable[[], None]:
            replies = [self.server.result(job.job_id) for job in jobs]
            return lambda: self.machine.results_read(jobs, replies)

        self._reads.append(_Read(execute, lambda: self._fail_read(jobs, results=True)))

    def read_documents(
        self, jobs: Sequence[AwaitedJob], asked: Sequence[bool], *, whole: bool
    ) -> None:
        def execute() -> Callable[[], None]:
            replies: Any = []
            for job, is_asked in zip(jobs, asked):
                # In this order, as the commands stand in the pipeline; others may come between.
                taken = self.server.is_taken(job.job_id) if is_asked else None
                self._perhaps_work()
                text = self.server.document(job.job_id, whole=whole)
                self._perhaps_work()
                replies.append((taken, text, self.server.result(job.job_id)))
            return lambda: self.machine.documents_read(jobs, replies, self.server.now, whole=whole)

        self._reads.append(_Read(execute, lambda: self._fail_read(jobs, results=False)))

    def read_dead_letters(self, count: int) -> None:
        def execute() -> Callable[[], None]:
            letters = self.server.dead[:count]
            return lambda: self.machine.dead_letters_read(letters)

        self._reads.append(_Read(execute, lambda: self._fail_read([], results=False)))

    def resolve(self, wait: Wait, result: JobResult[Any]) -> None:
        work = self._ended(wait)
        assert result.job_id == wait.job_id
        if result.is_success:
            assert work.end == "success"
            assert result.get_result() == wait.job_id
        elif not wait.any_attempt:
            assert work.end in ("dead", "dead without a result"), "an attempt that is retried"
            assert work.is_over, "an attempt that will be retried"

    def fail(self, wait: Wait, error: BananasError) -> None:
        work = self._ended(wait)
        if type(error) is ResultNotFoundError:
            assert work.end in ("success", "no result")
            assert work.is_over
        elif type(error) is JobNotFoundError:
            assert wait.must_exist
            assert self._may_be_missing[wait]
        else:
            raise AssertionError(f"no reason for {error!r}")

    def wake_at(self, when: float) -> None:
        assert self._wake_at is None
        self._wake_at = when

    def _ended(self, wait: Wait) -> Work:
        self.waits.remove(wait)  # each ends once
        return self.works[wait.job_id]

    def _fail_read(self, jobs: Sequence[AwaitedJob], *, results: bool) -> None:
        errors: List[BananasError] = [TimeoutError("late"), ConnectionError("gone")]
        self.machine.read_failed(jobs, errors[self._choose(2)], results=results)

    # -- steps -----------------------------------------------------------------------------------

    def step(self) -> None:
        """Let one thing happen."""
        steps = [self._work, self._work, self._work, self._register, self._network, self._network,
                 self._network, self._trouble, self._leave, self._pass_time]  # fmt: skip
        steps[self._choose(len(steps))]()
        self._check()

    def _register(self) -> None:
        if len(self.works) < 6 or not self._choose(8):
            job_id = f"job-{len(self.works)}"
            end, failures = _ENDS[self._choose(4)], self._choose(3)
            size = 5000 if self._choose(4) == 3 else 0
            self.works[job_id] = Work(self.server, job_id, failures, end, size)
        else:
            job_id = list(self.works)[-1 - self._choose(6)]
        wait = Wait(job_id, any_attempt=not self._choose(4), must_exist=not self._choose(4))
        self.waits.append(wait)
        self._limits[wait] = self.server.now + 1 + self._choose(40)
        self._may_be_missing[wait] = job_id not in self.server.documents
        self.machine.registered(wait, self.server.now)
        if wait in self.waits and (wait.must_exist or not self._choose(3)):
            self.machine.hurried([job_id])

    def _work(self) -> None:
        able = [work for work in self.works.values() if work.can_go_on]
        if able:
            work = able[self._choose(len(able))]
            work.go_on()
            if work.job_id not in self.server.documents:
                for wait in self.waits:
                    if wait.job_id == work.job_id:
                        self._may_be_missing[wait] = True

    def _perhaps_work(self) -> None:
        if not self._choose(4):
            self._work()

    def _leave(self) -> None:
        if self.waits and not self._choose(3):
            self.machine.left(self.waits.pop(self._choose(len(self.waits))))

    def _network(self) -> None:
        """Let a command arrive, or a reply, or a notification, or a connection be made."""
        way = self._choose(4)
        if way == 0 and self._reads:
            self._read_on()
        elif way == 1 and self._subscribing:
            job_id = self._subscribing.pop(0)
            self.server.subscribed.add(job_id)
            self._confirmations.append(job_id)
        elif way == 2 and self._confirmations:
            job_id = self._confirmations.pop(0)
            if job_id in self._wanted:
                self.machine.confirmed([job_id])
        elif way == 3 and self.server.published:
            self.machine.notified([self.server.published.pop(0)])
        elif not self._is_connected:
            self._is_connected = True
            self._subscribing = list(self._wanted)

    def _read_on(self) -> None:
        """Execute the next read, or deliver the answer to the oldest."""
        waiting = [read for read in self._reads if read.answer is None]
        if waiting and (waiting[0] is self._reads[0] or self._choose(2)):
            waiting[0].answer = waiting[0].execute()
        else:
            answer = self._reads.pop(0).answer
            assert answer is not None
            answer()

    def _trouble(self) -> None:
        """Lose a notification, the subscriptions, or a read."""
        way = self._choose(6)
        if way == 0 and self.server.published:
            self.server.published.pop()
        elif way == 1 and self._is_connected:
            self._is_connected = False
            self.server.subscribed.clear()
            self.server.published.clear()
            self._subscribing, self._confirmations = [], []
            self.machine.lost()
        elif way == 2 and self._reads:
            self._reads.pop(0).fail()

    def _pass_time(self) -> None:
        """Let time pass, and what is due happen; a pause of a worker is nothing else."""
        self.server.now += (0.01, 0.1, 0.3, 1.0, 3.0)[self._choose(5)]
        for wait in list(self.waits):
            if self._limits[wait] <= self.server.now:
                self.waits.remove(wait)
                self.machine.left(wait)
        if self._wake_at is not None and self._wake_at <= self.server.now:
            self._wake_at = None
            self.machine.time(self.server.now)

    # -- what has to hold ------------------------------------------------------------------------

    def _check(self) -> None:
        """Hold the books of the state machine against those of the driver."""
        awaited = {wait.job_id for wait in self.waits}
        jobs = {job.job_id: job for job in self.machine._registry}
        assert set(jobs) == awaited == set(self._wanted)
        pacing = self.machine._pacing
        assert pacing._grace.keys() | pacing._first.keys() | pacing._again.keys() == awaited
        assert not awaited or self._wake_at is not None
        for job in jobs.values():
            assert job.state is not State.ENDED
            assert job.state is State.LOOKING or job.state is job.resting_state

    def finish(self) -> None:
        """End the trouble: every wait whose job has ended ends, and nothing is left of any."""
        for work in self.works.values():
            while work.steps and not work.steps[0].__name__.startswith("_expire"):
                self.server.now = max(self.server.now, work.ready_at)
                work.go_on()
        self._limits = dict.fromkeys(self.waits, float("inf"))
        until = self.server.now + _SETTLES_WITHIN
        while self.server.now < until:
            self._settle()
            self.server.now += 0.05
            if self._wake_at is not None and self._wake_at <= self.server.now:
                self._wake_at = None
                self.machine.time(self.server.now)
            self._check()
        left = [wait for wait in self.waits if wait.job_id in self.server.documents]
        assert left == [], "a wait hangs though its job has ended"
        for wait in list(self.waits):
            self.waits.remove(wait)
            self.machine.left(wait)
        self._settle()
        self._check()
        assert len(self.machine) == 0

    def _settle(self) -> None:
        while self._reads:
            read = self._reads.pop(0)
            (read.answer or read.execute())()
        if not self._is_connected:
            self._is_connected = True
            self._subscribing = list(self._wanted)
        self.server.subscribed.update(self._subscribing)
        confirmed = [job_id for job_id in self._subscribing if job_id in self._wanted]
        self._subscribing.clear()
        if confirmed:
            self.machine.confirmed(confirmed)
