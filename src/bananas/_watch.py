"""Looks at results and documents when told to, and periodically, and ends the waits for them."""

from __future__ import annotations

import asyncio
import copy
import functools
from contextvars import Context
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from . import exceptions as exc
from ._autopipeline import AutoPipeline
from ._deadlines import Deadlines
from ._judgement import Judgement, State, judge
from ._keys import Keys
from ._listener import Listener
from ._lookup import final_result, is_listed, look_up, read_taken, result_gone
from ._protocol import Reply, ReplyError
from ._redis import Command
from ._stored import Document, document_of, read_document, read_end, result_of
from ._timestamps import utcnow
from ._waiters import Waiter, Waiters
from ._whereabouts import Known, describe, locate
from .location import Location
from .models import JobResult

__all__ = ["Watch", "is_short"]

_TICK = 0.25
# Ten thousand idle waits may cost a small part of a core: this many documents a second at most.
_LOOKS_PER_TICK = 100
_RESULTS_PER_LOOK = 500
_FIRST_LOOK = 0.5
# A failed result beside a document that has not moved for this long, of a job that no worker has
# taken: whoever stored it is no Go worker, and nobody will rewrite the document.
_GRACE = 0.5
_DEAD_LETTERS = 100
# The last look of a wait may take so long, but that of a short wait longer: each looks properly.
_LAST_LOOK = 0.1
_PROPER_LOOK = 1.0


class Watch:
    """Ends every wait: with the final result, with the reason why none can come, or in time.

    A notification or a confirmed subscription makes it read the result at once; what was
    published while nobody listened is found by a periodic read, which is paced.

    Args:
        pipeline: Carries the reads.
        listen: Makes the listener from its two callbacks.
        keys: The names of results, documents and the dead letters.
        safety_interval: Seconds between two periodic reads of one result, where they are few.
        read_timeout: Seconds for a read.
    """

    def __init__(
        self,
        pipeline: AutoPipeline,
        listen: Callable[..., Listener],
        keys: Keys,
        *,
        safety_interval: float,
        read_timeout: float,
    ) -> None:
        self._pipeline = pipeline
        self._keys = keys
        self._safety_interval = safety_interval
        self._proper_look = min(read_timeout, _PROPER_LOOK)
        self._waiters = Waiters()
        self._deadlines = Deadlines(_reached)
        self.listener: Listener = listen(
            on_news=self._look_at,
            on_refused=self._refuse_all,
        )
        self._closed = False
        self._soon: Dict[str, None] = {}
        self._looking = False
        self._fresh: Dict[str, float] = {}
        self._seen: Dict[str, float] = {}
        self._grace: Dict[str, Tuple[Tuple[Any, ...], float]] = {}
        self._long: Dict[str, Reply] = {}
        self._tick: Optional[asyncio.TimerHandle] = None
        self._ticks = 0
        self._dead_head: Optional[bytes] = None
        self.found_by_notification: int = 0
        self.found_by_safety_read: int = 0

    def __len__(self) -> int:
        return len(self._waiters)

    async def wait(
        self,
        job_id: str,
        timeout: Optional[float],
        *,
        any_attempt: bool = False,
        must_exist: bool = False,
        waiter: Optional[Waiter] = None,
    ) -> JobResult[Any]:
        """Wait for the final result of a job, or for any stored one.

        Args:
            job_id: The job.
            timeout: Limit in seconds; None is no limit, 0 only looks.
            any_attempt: Whether the first stored result will do, though a retry may follow.
            must_exist: Whether a job without document and result ends the wait.
            waiter: One that was registered before, for this job; let go of in any case.
        """
        # One coroutine for all of it: ten thousand of them wait at once.
        if waiter is None:
            if timeout == 0:
                return await self._last_look(job_id, 0.0, any_attempt, must_exist, looked=False)
            waiter = self.register(job_id, any_attempt=any_attempt, must_exist=must_exist)
        try:
            if timeout is not None:
                self._deadlines.add(waiter, self._pipeline.running_loop().time() + timeout)
            if must_exist or is_short(timeout):
                self._look_closely([job_id], periodic=False)
            result: Optional[JobResult[Any]] = await waiter.future
            if result is None:
                result = await self._last_look(
                    job_id, timeout or 0.0, any_attempt, must_exist, looked=waiter.looked
                )
            return result
        finally:
            self._waiters.remove(waiter)
            # Once the caller has gone on: nobody waits for the rest.
            waiter.future.get_loop().call_soon(self._forget, waiter, context=Context())

    def register(self, job_id: str, *, any_attempt: bool, must_exist: bool = False) -> Waiter:
        """Take a wait in; nothing that is stored from now on is missed."""
        if self._closed:
            raise exc.ClientClosedError("the client is closed; make a new one")
        loop = self._pipeline.running_loop()
        waiter = Waiter(
            job_id, loop.create_future(), any_attempt=any_attempt, must_exist=must_exist
        )
        if self._waiters.add(waiter):
            self._forget_looks(job_id)  # those of a wait that has only just ended
            self._fresh[job_id] = loop.time() + _FIRST_LOOK
        self.listener.subscribe(job_id)
        if self._tick is None:
            self._tick = loop.call_later(_TICK, self._on_tick, loop, context=Context())
        return waiter

    def look_now(self, job_ids: Sequence[str]) -> None:
        """Look at jobs that are waited for only for a short while."""
        for start in range(0, len(job_ids), _RESULTS_PER_LOOK):
            ids = job_ids[start : start + _RESULTS_PER_LOOK]
            self._look_closely(ids, periodic=False)

    def unregister(self, waiter: Waiter) -> None:
        """Let a wait go, whatever became of it."""
        self._waiters.remove(waiter)
        self._forget(waiter)

    def _forget(self, waiter: Waiter) -> None:
        """Give back what a wait held; its job may be awaited again by now."""
        job_id = waiter.job_id
        self._deadlines.discard(waiter)
        if job_id not in self._waiters:
            self._forget_looks(job_id)
            self.listener.unsubscribe(job_id)
        if waiter.future.done():
            if not waiter.future.cancelled():
                waiter.future.exception()  # retrieved: nobody may be left to
        else:
            waiter.future.cancel()

    def _forget_looks(self, job_id: str) -> None:
        self._fresh.pop(job_id, None)
        self._seen.pop(job_id, None)
        self._grace.pop(job_id, None)
        self._long.pop(job_id, None)
        self._soon.pop(job_id, None)

    def let_go(self) -> None:
        """Begin to close: all waits end, and so do the tasks behind them."""
        self._closed = True
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._end_all(lambda job_id: exc.ClientClosedError(
            f"the client was closed during the wait for job {job_id}", job_id=job_id
        ))  # fmt: skip
        self.listener.let_go()
        self._deadlines.let_go()

    async def close(self) -> None:
        """End all waits."""
        self.let_go()
        try:
            await self.listener.close()
        finally:
            await self._deadlines.close()

    def shut_down(self) -> None:
        """End the connection on whichever thread; its loop does not run, and may never again."""
        self.listener.shut_down()

    def abandon(self) -> None:
        """End the tasks, whose loop is closed."""
        self._closed = True
        self.listener.abandon()
        self._deadlines.abandon()

    # -- looking at results ----------------------------------------------------------------------

    def _look_at(self, job_ids: Sequence[str]) -> None:
        """Read results at once, or, while a read is under way, with the next one."""
        for job_id in job_ids:
            if job_id in self._waiters:
                self._soon[job_id] = None
        if not self._looking:
            self._look()

    def _look(self) -> None:
        if self._closed or not self._soon:
            return
        if len(self._soon) <= _RESULTS_PER_LOOK:
            ids, self._soon = list(self._soon), {}
        else:
            ids = list(self._soon)[:_RESULTS_PER_LOOK]
            for job_id in ids:
                del self._soon[job_id]
        self._looking = True
        result = self._keys.result
        commands: List[Command] = [(b"HGETALL", result(job_id)) for job_id in ids]
        try:
            self._pipeline.start(commands, functools.partial(self._looked, ids))
        except BaseException:
            self._looking = False
            raise

    def _looked(
        self, ids: Sequence[str], replies: Optional[List[Reply]], error: Optional[BaseException]
    ) -> None:
        self._looking = False
        if error is not None:
            self._read_failed(error)
        if replies is not None:
            undecided = [
                job_id for job_id, reply in zip(ids, replies) if self._serve(job_id, reply)
            ]
            if undecided:
                self._look_closely(undecided, periodic=False)
        self._look()

    def _read_failed(self, error: BaseException) -> None:
        """End all waits if there is no use in reading; else the periodic read will do it again."""
        if isinstance(error, exc.ConnectionError) and error.permanent:
            self._refuse_all(error)

    def _serve(self, job_id: str, reply: Reply) -> bool:
        """End the waits that a result alone decides; true if its job's document is needed."""
        if not reply:
            return False
        waiters = self._waiters.of(job_id)
        if not waiters:
            return False
        result = self._read_result(job_id, reply)
        if result is None:
            return False
        again = functools.partial(result_of, job_id, reply)
        if result.is_success:
            self.found_by_notification += self._end(waiters, result, again)
            self._soon.pop(job_id, None)  # its notification may have come meanwhile
            return False
        content = [waiter for waiter in waiters if waiter.any_attempt]
        self.found_by_notification += self._end(content, result, again)
        return len(content) < len(waiters)

    def _read_result(self, job_id: str, reply: Reply) -> Optional[JobResult[Any]]:
        """Read a stored result; one that can't be read ends the waits for this job alone."""
        try:
            return result_of(job_id, reply)
        except (exc.SerializationError, exc.ServerError) as error:
            made: List[exc.BananasError] = [error]
        for waiter in self._waiters.of(job_id):  # each gets an error of its own
            waiter.future.set_exception(copy.copy(made[0]))
        return None

    # -- looking at documents --------------------------------------------------------------------

    def _look_closely(self, ids: Sequence[str], *, periodic: bool, whole: bool = False) -> None:
        keys = self._keys
        commands: List[Command] = []
        asked = [job_id in self._grace for job_id in ids]
        for job_id, is_asked in zip(ids, asked):  # the document before the result: see judge()
            if is_asked:  # and after this: Go rewrites the document before it lets go of the job
                commands.append(read_taken(keys, job_id))
            commands.append((read_document if whole else read_end)(keys, job_id))
            commands.append((b"HGETALL", keys.result(job_id)))
        then = functools.partial(self._looked_closely, ids, asked, periodic, whole)
        self._pipeline.start(commands, then)

    def _looked_closely(
        self,
        ids: Sequence[str],
        asked: Sequence[bool],
        periodic: bool,
        whole: bool,
        replies: Optional[List[Reply]],
        error: Optional[BaseException],
    ) -> None:
        if error is not None:
            self._read_failed(error)
        if replies is None:
            return
        rest = iter(replies)
        long: List[str] = []
        for job_id, is_asked in zip(ids, asked):
            taken = is_listed(next(rest)) if is_asked else None
            end, stored = next(rest), next(rest)
            waiters = self._waiters.of(job_id)
            if not waiters:
                continue
            document = document_of(job_id, end, whole=whole)
            if document is not None:
                for waiter in waiters:
                    waiter.looked = True
                self._conclude(job_id, document, stored, taken, waiters, periodic)
            elif stored or self._long.get(job_id) != end:
                self._long[job_id] = end
                long.append(job_id)
        if long:
            self._look_closely(long, periodic=periodic, whole=True)

    @staticmethod
    def _refuse(job_id: str, waiters: List[Waiter], reply: ReplyError) -> None:
        """End waits for which a failure can't be told from one that will be retried."""
        for waiter in waiters:
            waiter.future.set_exception(
                exc.ServerError(
                    f"an attempt of job {job_id} has failed, and whether it will be retried is not "
                    f"known: Redis refuses to show its document ({reply}); "
                    "wait_for_retries=False returns the failure",
                    job_id=job_id,
                    code=reply.code,
                )
            )

    def _conclude(
        self,
        job_id: str,
        document: Document,
        stored: Reply,
        taken: Optional[bool],
        waiters: List[Waiter],
        periodic: bool,
    ) -> None:
        result = self._read_result(job_id, stored) if stored else None
        if stored and result is None:
            return
        if document.refusal is not None and result is not None and result.is_failed:
            self._refuse(job_id, [w for w in waiters if not w.any_attempt], document.refusal)
            waiters = [waiter for waiter in waiters if waiter.any_attempt]
        if result is None and not document.is_there:
            for waiter in waiters:
                if waiter.must_exist:
                    waiter.future.set_exception(_not_found(job_id))
            return
        found = judge(document.job, result)
        if found.state is State.UNSETTLED:
            found = self._after_grace(job_id, document, found, taken)
        else:
            self._grace.pop(job_id, None)
        ended = 0
        again = functools.partial(_again, job_id, document, stored)
        if found.state is State.ENDED and found.result is not None:
            ended = self._end(waiters, found.result, again)
        elif found.state is State.RESULT_GONE:
            for waiter in waiters:
                waiter.future.set_exception(result_gone(job_id))
        elif result is not None:
            ended = self._end([w for w in waiters if w.any_attempt], result, again)
        if periodic:
            self.found_by_safety_read += ended
        else:
            self.found_by_notification += ended

    def _after_grace(
        self, job_id: str, document: Document, found: Judgement, taken: Optional[bool]
    ) -> Judgement:
        """Believe an unsettled state once no worker has the job, and nothing moves for a while.

        A worker that is paused, or was killed, has it for as long as that lasts. Where Redis does
        not tell who has it, the wait goes on.
        """
        job = document.job
        assert job is not None
        now = asyncio.get_running_loop().time()
        mark = (job.status, job.attempts, job.updated_at,
                found.result and found.result.completed_at)  # fmt: skip
        known = self._grace.get(job_id)
        if known is None or known[0] != mark or taken is not False:
            self._grace[job_id] = (mark, now)
            return found
        if now - known[1] < _GRACE:
            return found
        del self._grace[job_id]
        return Judgement(State.RESULT_GONE if found.result is None else State.ENDED, found.result)

    # -- periodically ----------------------------------------------------------------------------

    def _on_tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._tick = None
        if not len(self._waiters) or self._closed:
            return
        self._tick = loop.call_later(_TICK, self._on_tick, loop, context=Context())
        now = loop.time()
        self._deadlines.revive()
        self._ticks += 1
        if self._ticks % 4 == 0:
            command = (b"LRANGE", self._keys.dead, 0, _DEAD_LETTERS - 1)
            self._pipeline.start([command], self._looked_at_dead_letters)
        ids = [job_id for job_id, (_, since) in self._grace.items() if now - since >= _GRACE]
        ids = ids[:_LOOKS_PER_TICK]
        for due in (self._fresh, self._seen):
            while due and len(ids) < _LOOKS_PER_TICK:
                job_id = next(iter(due))
                if due[job_id] > now:
                    break
                del due[job_id]
                self._seen[job_id] = now + self._safety_interval
                ids.append(job_id)
        if ids:
            self._look_closely(list(dict.fromkeys(ids)), periodic=True)

    def _looked_at_dead_letters(
        self, replies: Optional[List[Reply]], error: Optional[BaseException]
    ) -> None:
        if error is not None:
            self._read_failed(error)
        if not replies or not isinstance(replies[0], list) or not replies[0]:
            return
        letters = replies[0]
        head, self._dead_head = self._dead_head, letters[0]
        if letters[0] == head:
            return
        ids = [letter.decode("utf-8", "replace") for letter in letters]
        awaited = [job_id for job_id in ids if job_id in self._waiters]
        if awaited:
            self._look_closely(awaited, periodic=True)

    # -- ends ------------------------------------------------------------------------------------

    @staticmethod
    def _end(
        waiters: Sequence[Waiter],
        result: JobResult[Any],
        again: Callable[[], Optional[JobResult[Any]]],
    ) -> int:
        """Give a result to the first waiter, and to each of the others one of its own."""
        for waiter in waiters:
            waiter.future.set_result(result if waiter is waiters[0] else again())
        return len(waiters)

    def _refuse_all(self, error: exc.ConnectionError) -> None:
        self._end_all(functools.partial(_refused, error))

    def _end_all(self, reason: Callable[[str], exc.BananasError]) -> None:
        for job_id in list(self._waiters):
            for waiter in self._waiters.of(job_id):
                waiter.future.set_exception(reason(job_id))

    # -- looking on behalf of a caller -----------------------------------------------------------

    async def locate(self, job_id: str) -> Location:
        """Say where a job is."""
        (known,) = await look_up(self._pipeline, self._keys, [job_id], everywhere=True)
        return locate(known)

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
        is_brief = looked or timeout >= self._proper_look
        limit = _LAST_LOOK if is_brief else self._proper_look
        trouble: Optional[exc.BananasError] = None
        found: List[Optional[Known]] = [None] * len(job_ids)
        try:
            found = list(await look_up(self._pipeline, self._keys, job_ids, timeout=limit))
        except (exc.ConnectionError, exc.TimeoutError, exc.ServerError) as error:
            trouble = error  # not raised here: it would be the context of what is
        if self._closed:
            raise exc.ClientClosedError("the client was closed during the wait", job_id=job_ids[0])
        if isinstance(trouble, exc.ConnectionError) and trouble.permanent:
            raise _refused(trouble, job_ids[0])
        return found, str(trouble or "")

    async def _last_look(
        self, job_id: str, timeout: float, any_attempt: bool, must_exist: bool, *, looked: bool
    ) -> JobResult[Any]:
        """At the deadline, return what is there after all, or say where the job is."""
        (known,), reason = await self.last_looks([job_id], timeout, looked=looked)
        where: Optional[Location] = None
        text = f"where the job is can't be found out: {reason}"
        if known is not None:
            result = final_result(job_id, known, any_attempt=any_attempt)
            if result is not None:
                return result
            if must_exist and known.result is None and not known.document.is_there:
                raise _not_found(job_id)
            where = locate(known)
            text = describe(where, known, utcnow())
        raise exc.TimeoutError(
            f"no final result of job {job_id} within {timeout:g} s: {text}",
            job_id=job_id,
            whereabouts=None if where is None else where.place,
        )


def is_short(timeout: Optional[float]) -> bool:
    """Whether a wait may be over before the first of the periodic looks has been answered."""
    return timeout is not None and timeout < 2 * _PROPER_LOOK


def _reached(waiter: Waiter) -> None:
    if not waiter.future.done():
        waiter.future.set_result(None)


def _refused(error: exc.ConnectionError, job_id: str) -> exc.ConnectionError:
    return type(error)(
        f"can't wait for job {job_id}: {error}", job_id=job_id, permanent=error.permanent
    )


def _not_found(job_id: str) -> exc.JobNotFoundError:
    return exc.JobNotFoundError(
        f"there is no job {job_id}: it was never submitted here, expired, or was evicted",
        job_id=job_id,
    )


def _again(job_id: str, document: Document, stored: Reply) -> Optional[JobResult[Any]]:
    """Make the result that a look has found once more."""
    if stored:
        return result_of(job_id, stored)
    return judge(document.job, None).result
