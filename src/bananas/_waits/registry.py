"""Who waits for which job, and how far each job's wait has come."""

from __future__ import annotations

import enum
from typing import Any, Callable, Dict, Iterator, List, Optional

__all__ = ["AwaitedJob", "Look", "Registry", "State", "Wait"]


class State(enum.Enum):
    """How far the wait for a job has come."""

    SUBSCRIBING = "its channel is not confirmed: what is published now may be missed"
    LISTENING = "nothing that is published on its channel can be missed"
    LOOKING = "its result, or its document and result, are being read"
    GRACE = "a result was read that its document does not speak of yet: look again"
    ENDED = "nobody waits for it any more"


class Look(enum.IntEnum):
    """What is read of a job, and why."""

    RESULT = 1  #: its result may have been stored
    PERIODIC = 2  #: its document and result, since it is their turn
    DOCUMENT = 3  #: the same, since something was heard of it or a caller has little time

    def joined_with(self, other: Optional[Look]) -> Look:
        """Return the look that does for both."""
        if other is None or other is self:
            return self
        return Look.DOCUMENT


class Wait:
    """One caller's wait for one job.

    Attributes:
        job_id: The job.
        event: What the caller awaits; only the owner knows what it is.
        any_attempt: Whether the first stored result will do, though a retry may follow.
        must_exist: Whether a job without document and result ends it.
        asked: Whether a look at document and result was begun since the wait was.
        looked: Whether such a look has been answered.
        has_ended: Whether it has been given a result or an error, or was left.
        on_news: Called when something was announced of the job; it must not raise.
    """

    __slots__ = ("any_attempt", "asked", "event", "has_ended", "job_id", "looked", "must_exist",
                 "on_news")  # fmt: skip

    def __init__(
        self, job_id: str, event: Any = None, *, any_attempt: bool = False, must_exist: bool = False
    ) -> None:
        self.job_id: str = job_id
        self.event: Any = event
        self.any_attempt: bool = any_attempt
        self.must_exist: bool = must_exist
        self.asked: bool = False
        self.looked: bool = False
        self.has_ended: bool = False
        self.on_news: Optional[Callable[[], None]] = None


class AwaitedJob:
    """A job that somebody waits for.

    Attributes:
        job_id: The job.
        state: How far its wait has come.
        waits: Those who wait for it.
        is_confirmed: Whether its channel is subscribed.
        look: What is being read, or about to be, in ``LOOKING``.
        next_look: What has to be read as soon as that is answered.
        mark: Document and result that ``GRACE`` is about.
        since: When they were first seen so.
        long_end: The end of a document that has been read whole.
    """

    __slots__ = ("is_confirmed", "job_id", "long_end", "look", "mark", "next_look", "since",
                 "state", "waits")  # fmt: skip

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.state = State.SUBSCRIBING
        self.waits: List[Wait] = []
        self.is_confirmed = False
        self.look: Optional[Look] = None
        self.next_look: Optional[Look] = None
        self.mark: Any = None
        self.since = 0.0
        self.long_end: Optional[bytes] = None

    @property
    def resting_state(self) -> State:
        """The state between two looks."""
        if self.mark is not None:
            return State.GRACE
        return State.LISTENING if self.is_confirmed else State.SUBSCRIBING


class Registry:
    """All waits of a client, by job."""

    __slots__ = ("_jobs",)

    def __init__(self) -> None:
        self._jobs: Dict[str, AwaitedJob] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[AwaitedJob]:
        return iter(list(self._jobs.values()))

    def get(self, job_id: str) -> Optional[AwaitedJob]:
        """Return a job that somebody waits for."""
        return self._jobs.get(job_id)

    def add(self, wait: Wait) -> AwaitedJob:
        """Take a wait in; it is the only one of a job that was not waited for before."""
        job = self._jobs.get(wait.job_id)
        if job is None:
            job = self._jobs[wait.job_id] = AwaitedJob(wait.job_id)
        job.waits.append(wait)
        return job

    def remove(self, wait: Wait) -> Optional[AwaitedJob]:
        """Let a wait go, if it is here; return its job if nobody else waits for that."""
        job = self._jobs.get(wait.job_id)
        if job is None or wait not in job.waits:
            return None
        job.waits.remove(wait)
        if job.waits:
            return None
        del self._jobs[wait.job_id]
        return job
