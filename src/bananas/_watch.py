"""Looks at results and documents when told to, and periodically, and ends the waits for them."""

from __future__ import annotations

import asyncio
import functools
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar

from . import exceptions as exc
from ._autopipeline import AutoPipeline
from ._deadlines import Deadlines
from ._judgement import Judgement, State, judge
from ._keys import Keys
from ._listener import Listener
from ._protocol import Reply, ReplyError
from ._redis import Command
from ._waiters import Waiter, Waiters
from ._whereabouts import describe
from .models import Job, JobResult

__all__ = ["Watch"]

T = TypeVar("T")

_TICK = 0.25
# Ten thousand idle waits may cost a small part of a core: this many documents a second at most.
_LOOKS_PER_TICK = 100
_RESULTS_PER_LOOK = 500
_FIRST_LOOK = 0.5
# A failed result beside a document that has not moved for this long: whoever stored it is no Go
# worker, and nobody will rewrite the document.
_GRACE = 0.5
_DEAD_LETTERS = 100
_LAST_LOOK = 0.1


class Watch:
    """Ends every wait: with the final result, with the reason why none can come, or in time.

    A notification or a confirmed subscription makes it read the result at once; what was
    published while nobody listened is found by a periodic read, which is paced.

    Args:
        pipeline: Carries the reads.
        listen: Makes the listener from its two callbacks.
        keys: The names of results, documents and the dead letters.
        safety_interval: Seconds between two periodic reads of one result, where they are few.
    """

    def __init__(
        self,
        pipeline: AutoPipeline,
        listen: Callable[..., Listener],
        keys: Keys,
        *,
        safety_interval: float,
    ) -> None:
        self._pipeline = pipeline
        self._keys = keys
        self._safety_interval = safety_interval
        self._waiters = Waiters()
        self._deadlines = Deadlines(_reached)
        self.listener = listen(
            on_news=self._look_at,
            on_refused=self._refuse_all,
        )
        self._closed = False
        self._soon: Dict[str, None] = {}
        self._looking = False
        self._fresh: Dict[str, float] = {}
        self._seen: Dict[str, float] = {}
        self._grace: Dict[str, Tuple[Tuple[Any, ...], float]] = {}
        self._tick: Optional[asyncio.TimerHandle] = None
        self._ticks = 0
        self._dead_head: Optional[bytes] = None
        self.found_by_notification = 0
        self.found_by_safety_read = 0

    def __len__(self) -> int:
        return len(self._waiters)

    async def wait(
        self,
        job_id: str,
        timeout: Optional[float],
        *,
        any_attempt: bool = False,
        waiter: Optional[Waiter] = None,
    ) -> JobResult[Any]:
        """Wait for the final result of a job, or for any stored one.

        Args:
            job_id: The job.
            timeout: Limit in seconds; None is no limit.
            any_attempt: Whether the first stored result will do, though a retry may follow.
            waiter: One that was registered before, for this job; let go of in any case.
        """
        # One coroutine for all of it: ten thousand of them wait at once.
        if waiter is None:
            waiter = self.register(job_id, any_attempt=any_attempt)
        try:
            result: Optional[JobResult[Any]] = None
            if timeout:
                self._deadlines.add(waiter, self._pipeline.running_loop().time() + timeout)
            if timeout != 0 or waiter.future.done():
                result = await waiter.future
            if result is None:
                result = await self._last_look(waiter, timeout or 0.0)
            return result
        finally:
            self._waiters.remove(waiter)
            # Once the caller has gone on: nobody waits for the rest.
            waiter.future.get_loop().call_soon(self._forget, waiter)

    def register(self, job_id: str, *, any_attempt: bool) -> Waiter:
        """Take a wait in; nothing that is stored from now on is missed."""
        if self._closed:
            raise exc.ClientClosedError("the client is closed; make a new one")
        loop = self._pipeline.running_loop()
        waiter = Waiter(job_id, loop.create_future(), any_attempt=any_attempt)
        if self._waiters.add(waiter):
            self._forget_looks(job_id)  # those of a wait that has only just ended
            self._fresh[job_id] = loop.time() + _FIRST_LOOK
        self.listener.subscribe(job_id)
        if self._tick is None:
            self._tick = loop.call_later(_TICK, self._on_tick, loop)
        return waiter

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
        self._soon.pop(job_id, None)

    async def close(self) -> None:
        """End all waits."""
        self._closed = True
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._end_all(lambda job_id: exc.ClientClosedError(
            f"the client was closed during the wait for job {job_id}", job_id=job_id
        ))  # fmt: skip
        try:
            await self.listener.close()
        finally:
            await self._deadlines.close()

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
        if result.is_success:
            self.found_by_notification += self._end(waiters, result)
            self._soon.pop(job_id, None)  # its notification may have come meanwhile
            return False
        content = [waiter for waiter in waiters if waiter.any_attempt]
        self.found_by_notification += self._end(content, result)
        return len(content) < len(waiters)

    def _read_result(self, job_id: str, reply: Reply) -> Optional[JobResult[Any]]:
        """Read a stored result; one that can't be read ends the waits for this job alone."""
        try:
            return result_of(job_id, reply)
        except (exc.SerializationError, exc.ServerError) as error:
            for waiter in self._waiters.of(job_id):
                waiter.future.set_exception(error)
            return None

    # -- looking at documents --------------------------------------------------------------------

    def _look_closely(self, ids: Sequence[str], *, periodic: bool) -> None:
        keys = self._keys
        commands: List[Command] = []
        for job_id in ids:  # the document first: see judge()
            commands.append((b"GET", keys.job(job_id)))
            commands.append((b"HGETALL", keys.result(job_id)))
        self._pipeline.start(commands, functools.partial(self._looked_closely, ids, periodic))

    def _looked_closely(
        self,
        ids: Sequence[str],
        periodic: bool,
        replies: Optional[List[Reply]],
        error: Optional[BaseException],
    ) -> None:
        if error is not None:
            self._read_failed(error)
        if replies is None:
            return
        for at, job_id in enumerate(ids):
            waiters = self._waiters.of(job_id)
            if waiters:
                document, reply = replies[2 * at : 2 * at + 2]
                result = self._read_result(job_id, reply) if reply else None
                if result is not None and result.is_failed and _is_refusal(document):
                    self._refuse(job_id, [w for w in waiters if not w.any_attempt], document)
                    waiters = [waiter for waiter in waiters if waiter.any_attempt]
                if result is not None or not reply:
                    self._conclude(job_id, read_document(document), result, waiters, periodic)

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
        job: Optional[Job],
        result: Optional[JobResult[Any]],
        waiters: List[Waiter],
        periodic: bool,
    ) -> None:
        found = judge(job, result)
        if found.state is State.UNSETTLED:
            found = self._after_grace(job_id, job, found)
        else:
            self._grace.pop(job_id, None)
        ended = 0
        if found.state is State.ENDED and found.result is not None:
            ended = self._end(waiters, found.result)
        elif found.state is State.RESULT_GONE:
            for waiter in waiters:
                waiter.future.set_exception(result_gone(job_id))
        elif result is not None:
            ended = self._end([waiter for waiter in waiters if waiter.any_attempt], result)
        if periodic:
            self.found_by_safety_read += ended
        else:
            self.found_by_notification += ended

    def _after_grace(self, job_id: str, job: Optional[Job], found: Judgement) -> Judgement:
        """Believe an unsettled state once the document has not moved for a while."""
        assert job is not None
        now = asyncio.get_running_loop().time()
        mark = (job.status, job.attempts, job.updated_at,
                found.result and found.result.completed_at)  # fmt: skip
        known = self._grace.get(job_id)
        if known is None or known[0] != mark:
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
        self._tick = loop.call_later(_TICK, self._on_tick, loop)
        now = loop.time()
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
    def _end(waiters: Sequence[Waiter], result: JobResult[Any]) -> int:
        for waiter in waiters:
            waiter.future.set_result(result)
        return len(waiters)

    def _refuse_all(self, error: exc.ConnectionError) -> None:
        self._end_all(lambda job_id: type(error)(
            f"can't wait for job {job_id}: {error}", job_id=job_id, permanent=error.permanent
        ))  # fmt: skip

    def _end_all(self, reason: Callable[[str], exc.BananasError]) -> None:
        for job_id in list(self._waiters):
            for waiter in self._waiters.of(job_id):
                waiter.future.set_exception(reason(job_id))

    async def _last_look(self, waiter: Waiter, timeout: float) -> JobResult[Any]:
        """At the deadline, return what is there after all, or say where the job is."""
        job_id = waiter.job_id
        commands: List[Command] = [
            (b"GET", self._keys.job(job_id)),
            (b"HGETALL", self._keys.result(job_id)),
            (b"LPOS", self._keys.processing, job_id, b"MAXLEN", 1000),
        ]
        replies: Optional[List[Reply]] = None
        try:
            replies = await self._pipeline.call(commands, timeout=_LAST_LOOK)
        except (exc.ConnectionError, exc.TimeoutError, exc.ServerError):
            pass  # it can't be reached, or is loading, say
        if self._closed:
            raise exc.ClientClosedError("the client was closed during the wait", job_id=job_id)
        if replies is None:
            word, text = "unknown", "Redis does not say where the job is"
        else:
            document, stored, position = replies
            job = read_document(document)
            result = result_of(job_id, stored) if stored else None
            found = judge(job, result)
            if found.state is State.ENDED and found.result is not None:
                if not _is_refusal(document) or found.result.is_success:
                    return found.result
            elif found.state is State.RESULT_GONE:
                raise result_gone(job_id)
            if waiter.any_attempt and result is not None:
                return result
            held = None if isinstance(position, ReplyError) else position is not None
            word, text = describe(job, result, held=held, readable=not document or job is not None)
            if _is_refusal(document):
                word, text = "unknown", f"Redis refuses to show its document: {document}"
        raise exc.TimeoutError(
            f"no final result of job {job_id} within {timeout:g} s: {text}",
            job_id=job_id,
            whereabouts=word,
        )


def _reached(waiter: Waiter) -> None:
    if not waiter.future.done():
        waiter.future.set_result(None)


def result_of(job_id: str, reply: Reply) -> JobResult[Any]:
    """Read the reply to HGETALL of a result.

    Raises:
        ServerError: Redis refused.
        SerializationError: What is stored is no result.
    """
    if isinstance(reply, ReplyError):
        raise exc.ServerError(
            f"Redis refuses to read the result of job {job_id}: {reply}",
            job_id=job_id,
            code=reply.code,
        )
    parts = iter(reply)
    return JobResult.from_hash(job_id, dict(zip(parts, parts)))


def _is_refusal(reply: Reply) -> bool:
    """Whether there may be a document that we may not read; one of another type is none."""
    return isinstance(reply, ReplyError) and reply.code != "WRONGTYPE"


def read_document(reply: Reply) -> Optional[Job]:
    """Read the reply to GET of a document; None where there is none that can be read.

    A document that can't be read says nothing here: a worker will make a dead letter of it.
    """
    if not isinstance(reply, bytes):
        return None
    try:
        return Job.from_json(reply)
    except exc.SerializationError:
        return None


def result_gone(job_id: str) -> exc.ResultNotFoundError:
    """Say that a job has completed and its result can't be had."""
    return exc.ResultNotFoundError(
        f"job {job_id} has completed, and its result is gone: it expired, or the worker keeps none",
        job_id=job_id,
    )
