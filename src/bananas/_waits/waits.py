"""Waits for jobs: each caller's event, its limit, and the last look after that."""

from __future__ import annotations

import asyncio
import builtins
from datetime import datetime
from typing import Any, Callable, Optional, Sequence, Tuple

import anyio

from .. import exceptions as exc
from .._pipeline import AutoPipeline
from .._wire import Keys, utcnow
from ..location import Location
from ..models import JobResult
from . import wait_errors
from .job_location import Known, locate
from .job_lookup import final_result, look_up
from .last_looks import LastLooks
from .limit_before_python_3_11 import CANCELS_ARE_COUNTED, event_limit
from .listener import Listener
from .machine_owner import MachineOwner
from .registry import Wait
from .state_machine import StateMachine

__all__ = ["Waits", "is_short"]

# Limits in seconds for the last look of a wait, and for that of a short wait of which no look was
# answered before.
_LAST_LOOK = 0.1
_PROPER_LOOK = 1.0


class Waits:
    """Waits for jobs. Each wait returns the final result, raises if none can come, or times out.

    A notification or a confirmed subscription makes it read the result at once; a paced periodic
    read finds what was published while nobody listened.

    Args:
        pipeline: Carries the reads.
        listen: Makes the listener of a state machine.
        keys: The names of results, documents and the dead letters.
        safety_interval: Seconds between two periodic reads of one result, where they are few.
        read_timeout: Seconds for a read.

    Attributes:
        listener: The connection that brings notifications.
        endings: Counts by what waits were ended.
        now: Returns the current time, for messages.
    """

    def __init__(
        self,
        pipeline: AutoPipeline,
        listen: Callable[[StateMachine], Listener],
        keys: Keys,
        *,
        safety_interval: float,
        read_timeout: float,
    ) -> None:
        self._pipeline = pipeline
        self._keys = keys
        self._proper_look = min(read_timeout, _PROPER_LOOK)
        self._last_looks = LastLooks(pipeline, keys)
        self._owner = MachineOwner(pipeline, listen, keys, safety_interval=safety_interval)
        self._machine = self._owner.machine
        self.listener = self._owner.listener
        self.endings = self._machine.endings
        self.now: Callable[[], datetime] = utcnow

    def __len__(self) -> int:
        return len(self._machine)

    async def wait(
        self,
        job_id: str,
        timeout: Optional[float],
        *,
        any_attempt: bool = False,
        must_exist: bool = False,
        wait: Optional[Wait] = None,
    ) -> JobResult[Any]:
        """Wait for the final result of a job, or for any stored one.

        Args:
            job_id: The job.
            timeout: Limit in seconds; None is no limit, 0 only looks.
            any_attempt: Whether the first stored result will do, though a retry may follow.
            must_exist: Whether a job without document and result ends the wait.
            wait: One that was registered before, for this job; it is unregistered at the end.
        """
        if timeout == 0 and wait is None:  # only looks: nothing is to be subscribed for that
            seen = Wait(job_id, any_attempt=any_attempt, must_exist=must_exist)
            return await self._last_look(seen, 0.0)
        if wait is None:
            wait = self.register(job_id, any_attempt=any_attempt, must_exist=must_exist)
        event: asyncio.Future[JobResult[Any]] = wait.event
        try:
            if must_exist or is_short(timeout):
                self._machine.hurried([job_id])
            with anyio.fail_after(timeout) if CANCELS_ARE_COUNTED else event_limit(event, timeout):
                return await event
        except builtins.TimeoutError:
            pass  # the time of this wait is over
        finally:
            self.unregister(wait)
        return await self._last_look(wait, timeout or 0.0)

    def register(self, job_id: str, *, any_attempt: bool, must_exist: bool = False) -> Wait:
        """Take a wait in; nothing that is stored from now on is missed."""
        self._pipeline.refuse_closed()
        loop = self._pipeline.running_loop()
        wait = Wait(job_id, loop.create_future(), any_attempt=any_attempt, must_exist=must_exist)
        self._machine.registered(wait, loop.time())
        return wait

    def look_now(self, job_ids: Sequence[str]) -> None:
        """Look at jobs that are waited for only for a short while."""
        self._machine.hurried(job_ids)

    def unregister(self, wait: Wait) -> None:
        """Let a wait go, whatever became of it."""
        self._machine.left(wait)
        event: asyncio.Future[JobResult[Any]] = wait.event
        if not event.done():
            event.cancel()
        elif not event.cancelled():
            event.exception()  # else asyncio logs an error that nobody has retrieved

    def let_go(self) -> None:
        """Begin to close: all waits end, and so does the listener."""
        self._owner.let_go()

    async def close(self) -> None:
        """End all waits."""
        self.let_go()
        await self.listener.close()

    def shut_down(self) -> None:
        """End the connection on whichever thread; its loop does not run, and may never again."""
        self.listener.shut_down()

    def abandon(self) -> None:
        """End the listener, whose loop is closed."""
        self.listener.abandon()

    # -- looking on behalf of a caller -----------------------------------------------------------

    async def locate(self, job_id: str) -> Location:
        """Say where a job is."""
        return locate(await self.look(job_id))

    async def look(self, job_id: str, limit: Optional[float] = None) -> Known:
        """Read all that tells where a job is, within ``limit`` seconds."""
        (known,) = await look_up(
            self._pipeline, self._keys, [job_id], timeout=limit, everywhere=True
        )
        return known

    def last_look_limit(self, timeout: float, *, looked: bool) -> float:
        """Return for how many seconds the last look of a wait goes on.

        Args:
            timeout: How long the wait has lasted, in seconds.
            looked: Whether an earlier look has been answered.
        """
        is_brief = looked or timeout >= self._proper_look
        return _LAST_LOOK if is_brief else self._proper_look

    async def last_looks(
        self, job_ids: Sequence[str], timeout: float, *, looked: bool
    ) -> Tuple[Sequence[Optional[Known]], str]:
        """Look at jobs whose wait is over, once and properly.

        Args:
            job_ids: The jobs.
            timeout: How long the wait has lasted, in seconds.
            looked: Whether an earlier look has been answered.

        Returns:
            What is known of each job, in their order; nothing where Redis could not be asked, and
            the reason for that.
        """
        limit = self.last_look_limit(timeout, looked=looked)
        looked_up = await self._last_looks.look(job_ids, limit)
        if self._pipeline.is_closed:
            raise exc.ClientClosedError("the client was closed during the wait", job_id=job_ids[0])
        if isinstance(looked_up, exc.ConnectionError) and looked_up.permanent:
            raise wait_errors.refused(looked_up, job_ids[0])
        if isinstance(looked_up, exc.BananasError):
            return [None] * len(job_ids), str(looked_up)
        return [looked_up[job_id] for job_id in job_ids], ""

    async def _last_look(self, wait: Wait, timeout: float) -> JobResult[Any]:
        """At the limit, return what is there after all, or say where the job is."""
        job_id = wait.job_id
        (known,), reason = await self.last_looks([job_id], timeout, looked=wait.looked)
        if known is None:
            text = f"its place is unknown: {reason}"
            raise wait_errors.timed_out(job_id, timeout, None, text)
        result = final_result(job_id, known, any_attempt=wait.any_attempt)
        if result is not None:
            return result
        if wait.must_exist and known.result is None and not known.document.is_there:
            raise wait_errors.not_found(job_id)
        where = locate(known)
        text = wait_errors.describe(where, known, self.now())
        raise wait_errors.timed_out(job_id, timeout, where.place, text)


def is_short(timeout: Optional[float]) -> bool:
    """Whether a wait may be over before the first of the periodic looks has been answered."""
    return timeout is not None and timeout < 2 * _PROPER_LOOK
