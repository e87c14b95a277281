"""One connection, one owner task: gathers the calls in flight into shared pipelines."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from typing import Any, Awaitable, Callable, Deque, Dict, List, Optional, Sequence, Set, Tuple

from . import exceptions as exc
from ._batch import TRANSIENT, Entry, Transaction, Verdicts
from ._doubts import Doubt, settle
from ._redis import Command, Link, LinkLost, Reply, ReplyError, pack
from ._tasks import cancel_and_wait

__all__ = ["AutoPipeline", "Outcome"]

_log = logging.getLogger("bananas")

# A batch ends at the first of these. A larger one would hold Redis, and with it everybody, for
# longer without a better price per job.
_MOST_COMMANDS = 1000
_MOST_BYTES = 1 << 20
_FIRST_BACKOFF = 0.05
_LONGEST_BACKOFF = 1.0


class Outcome:
    """What became of the entries of one submit that were not queued; the others were."""

    __slots__ = ("existing", "rejected")

    def __init__(self) -> None:
        self.rejected: List[Tuple[Entry, ReplyError]] = []
        self.existing: List[Entry] = []


class _Request:
    """Something that a caller awaits."""

    __slots__ = ("deadline", "future", "impatient", "patience", "reason")

    def __init__(self, future: asyncio.Future[Any], deadline: float, patience: float) -> None:
        self.future = future
        self.deadline = deadline
        self.patience = patience
        self.impatient = False
        self.reason: Optional[ReplyError] = None


class _Calls(_Request):
    """Commands that may be sent again: reads, and writes that are idempotent."""

    __slots__ = ("commands", "size")

    def __init__(
        self,
        future: asyncio.Future[Any],
        deadline: float,
        patience: float,
        commands: Sequence[Command],
        size: int,
    ) -> None:
        super().__init__(future, deadline, patience)
        self.commands = commands
        self.size = size


class _Submit(_Request):
    """Entries that must be applied once."""

    __slots__ = ("doubtful", "entries", "exclusive", "left", "outcome")

    def __init__(
        self,
        future: asyncio.Future[Any],
        deadline: float,
        patience: float,
        entries: Sequence[Entry],
        exclusive: bool,
    ) -> None:
        super().__init__(future, deadline, patience)
        self.exclusive = exclusive
        self.entries = entries
        self.left = len(entries)
        self.outcome: Optional[Outcome] = None
        self.doubtful = False
        for entry in entries:
            entry.owner = self

    def noted(self) -> Outcome:
        """Return the outcome, to note in it what was not queued."""
        if self.outcome is None:
            self.outcome = Outcome()
        return self.outcome

    def open_ids(self) -> Tuple[str, ...]:
        """Return the ids of the entries without a verdict."""
        return tuple(entry.job_id for entry in self.entries if entry.owner is self)


class _Batch:
    """What goes out in one pipeline."""

    __slots__ = ("calls", "exclusive", "transactions")

    def __init__(self) -> None:
        self.calls: List[_Calls] = []
        self.exclusive: List[Entry] = []
        self.transactions: List[Transaction] = []

    def __bool__(self) -> bool:
        return bool(self.calls or self.exclusive or self.transactions)


class _Refused(Exception):
    """The server refuses for a reason that passes, and another may not."""


class AutoPipeline:
    """Runs the calls of all callers over one connection, which only its owner task touches.

    A caller hands over a request and awaits a future: cancelling it abandons the future and never
    the connection. Whatever waits when the owner is free goes out as one pipeline.

    Args:
        open_link: Makes a connected link, or raises ``exceptions.ConnectionError``.
        connect_timeout: How long a request that was never sent waits for a connection, in seconds.
        submit_timeout: Limit of a submit, in seconds.
        read_timeout: Limit of all else, in seconds.
    """

    def __init__(
        self,
        open_link: Callable[[], Awaitable[Link]],
        *,
        connect_timeout: float,
        submit_timeout: float,
        read_timeout: float,
    ) -> None:
        self._open_link = open_link
        self._connect_timeout = connect_timeout
        self._submit_timeout = submit_timeout
        self._read_timeout = read_timeout
        # A silent link is given up early enough to find out, and to send again, in time.
        self._reply_timeout = 0.4 * min(submit_timeout, read_timeout)
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._task: Optional[asyncio.Task[None]] = None
        self._closed = False
        self._link: Optional[Link] = None
        self._waiting: Deque[_Request] = deque()
        self._again: List[List[Entry]] = []
        self._exclusive_again: List[Entry] = []
        self._doubts: List[Doubt] = []
        self._undo: List[Command] = []
        self._in_flight: Sequence[Transaction] = ()
        self._open: Set[_Request] = set()
        self._wake: Optional[asyncio.Future[None]] = None
        self._timer: Optional[asyncio.TimerHandle] = None
        self._timer_at = 0.0
        self._busy_since: Optional[float] = None
        self._failures = 0
        self._last_failure: Optional[exc.ConnectionError] = None
        self._marker = 0
        self._watching = False
        self.connections = 0
        self.batches = 0

    # -- what callers use ------------------------------------------------------------------------

    async def connect(self) -> None:
        """Make sure of a connection, with one attempt.

        Raises:
            exceptions.ConnectionError: There is none to be had.
        """
        request = self._calls([(b"PING",)])
        request.impatient = True
        self._add(request)
        await request.future

    async def call(
        self, commands: Sequence[Command], size: int = 0, timeout: Optional[float] = None
    ) -> List[Reply]:
        """Run commands that may be run again, and return a reply for each.

        Args:
            commands: Reads, or writes that are idempotent; MULTI and EXEC included if need be.
            size: Bytes to be written, where they are many.
            timeout: Limit in seconds; None is the read time-out.

        Raises:
            exceptions.ConnectionError: No connection could be made.
            exceptions.TimeoutError: No reply came in time.
        """
        return await self.start(commands, size, timeout)

    def start(
        self, commands: Sequence[Command], size: int = 0, timeout: Optional[float] = None
    ) -> asyncio.Future[List[Reply]]:
        """Hand commands over, as ``call`` does, and return the future of their replies."""
        request = self._calls(commands, size, timeout)
        self._add(request)
        return request.future

    def start_submit(
        self, entries: Sequence[Entry], *, exclusive: bool = False
    ) -> asyncio.Future[Optional[Outcome]]:
        """Apply entries once, in one transaction shared with whatever else is being submitted.

        Args:
            entries: The jobs.
            exclusive: An entry whose document exists is left alone and noted as existing.

        Returns:
            A future of what was not queued, or None. It fails with ``exceptions.ConnectionError``
            where nothing was sent, and with ``OutcomeUnknownError`` where something was, and what
            became of it can't be found out before the deadline.
        """
        loop = self.running_loop()
        now = loop.time()
        request = _Submit(
            loop.create_future(),
            now + self._submit_timeout,
            now + min(self._submit_timeout, self._connect_timeout),
            entries,
            exclusive,
        )
        self._add(request)
        return request.future

    async def close(self) -> None:
        """End the owner, drop the connection, and fail what is under way."""
        self._closed = True
        task, self._task = self._task, None
        if task is not None:
            await cancel_and_wait(task)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for request in list(self._open):
            self._fail(request, self._closed_error(request))

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._link is not None

    @property
    def open_requests(self) -> int:
        """How many requests are under way."""
        return len(self._open)

    # -- requests --------------------------------------------------------------------------------

    def _calls(
        self, commands: Sequence[Command], size: int = 0, timeout: Optional[float] = None
    ) -> _Calls:
        loop = self.running_loop()
        now = loop.time()
        limit = self._read_timeout if timeout is None else timeout
        return _Calls(
            loop.create_future(),
            now + limit,
            now + min(limit, self._connect_timeout),
            commands,
            size,
        )

    def running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop, once the client's for good.

        Raises:
            RuntimeError: It is another one.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise RuntimeError(
                    "this client belongs to another event loop; make one client for each loop"
                )
            self._loop = loop
        return loop

    def _add(self, request: _Request) -> None:
        if self._closed:
            raise exc.ClientClosedError("the client is closed; make a new one")
        assert self._loop is not None
        self._open.add(request)
        self._waiting.append(request)
        if self._timer is None or request.patience < self._timer_at:
            self._arm(request.patience)
        if self._wake is not None:
            self._wake.set_result(None)
            self._wake = None
        elif self._task is None:
            self._task = self._loop.create_task(self._run(), name="bananas auto-pipeline")

    def _resolve(self, request: _Request, value: Any) -> None:
        self._open.discard(request)
        if not request.future.done():
            request.future.set_result(value)

    def _fail(self, request: _Request, error: BaseException) -> None:
        self._open.discard(request)
        if not request.future.done():
            request.future.set_exception(error)

    # -- deadlines: one timer for all, which looks at most every so often --------------------------

    def _arm(self, when: float) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        assert self._loop is not None
        self._timer = None
        now = self._loop.time()
        busy = self._busy_since
        if busy is not None and now >= busy + self._reply_timeout and self._link is not None:
            _log.debug("no reply for %.1f s: giving the connection up", self._reply_timeout)
            self._link.abort()
        soonest = now + 3600
        for request in list(self._open):
            if request.future.done():
                self._open.discard(request)
                continue
            limit = self._limit(request)
            if now >= limit:
                self._fail(request, self._late_error(request))
            else:
                soonest = min(soonest, limit)
        if self._busy_since is not None:
            soonest = min(soonest, self._busy_since + self._reply_timeout)
        if self._open or self._busy_since is not None:
            self._arm(max(soonest, now + 0.001))

    def _limit(self, request: _Request) -> float:
        """A request that was never sent does not wait for a connection to its very deadline."""
        sent = isinstance(request, _Submit) and request.doubtful
        if self._link is not None or sent or request.reason is not None:
            return request.deadline
        return request.patience

    def _late_error(self, request: _Request) -> exc.BananasError:
        if isinstance(request, _Submit) and (request.doubtful or self._is_in_flight(request)):
            return self._unknown_error(request)
        if request.reason is not None:
            return self._reply_error(request, request.reason)
        failure = self._last_failure
        if isinstance(request, _Submit):
            ids = request.open_ids()
            why = str(failure) if failure else "the connection was busy until the deadline"
            message = f"{_named(ids)} not sent, and nothing is queued: {why}"
            return exc.ConnectionError(message, job_id=ids[0], job_ids=ids)
        if failure is not None and self._link is None:
            return exc.ConnectionError(str(failure), permanent=failure.permanent)
        return exc.TimeoutError("Redis did not answer in time")

    def _is_in_flight(self, request: _Submit) -> bool:
        return any(
            entry.owner is request
            for transaction in self._in_flight
            for entry in transaction.entries
        )

    def _unknown_error(self, request: _Submit) -> exc.OutcomeUnknownError:
        ids = request.open_ids()
        return exc.OutcomeUnknownError(
            f"{_named(ids)} sent, but the reply was lost: queued once or not at all; "
            "submitting again with the same job_id is safe",
            job_id=ids[0],
            job_ids=ids,
        )

    def _reply_error(self, request: _Request, reply: ReplyError) -> exc.BananasError:
        if isinstance(request, _Submit):
            ids = request.open_ids()
            message = f"{_named(ids)} refused by Redis, and nothing is queued: {reply}"
            return exc.JobRejectedError(message, job_id=ids[0], job_ids=ids, code=reply.code)
        return exc.ServerError(f"Redis refuses: {reply}", code=reply.code)

    def _closed_error(self, request: _Request) -> exc.ClientClosedError:
        if isinstance(request, _Submit):
            ids = request.open_ids()
            fate = "may or may not be queued" if request.doubtful else "not sent"
            return exc.ClientClosedError(
                f"the client was closed; {_named(ids, bare=True)}: {fate}",
                job_id=ids[0],
                job_ids=ids,
            )
        return exc.ClientClosedError("the client was closed")

    # -- the owner -------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                try:
                    await self._step()
                except LinkLost as error:
                    _log.debug("connection lost: %s", error)
                    await self._drop_link()
                    if self._failures:
                        await self._back_off()
                    else:
                        self._failures = 1  # until something succeeds
                except _Refused as error:
                    _log.debug("server refuses for now: %s", error)
                    await self._drop_link()
                    await self._back_off()
                except Exception as error:
                    # A defect of ours must end nobody's wait in silence, nor the owner.
                    _log.exception("internal error in the auto-pipeline")
                    await self._drop_link()
                    for request in list(self._open):
                        self._fail(request, exc.BananasError(f"internal error: {error!r}"))
        finally:
            await self._drop_link()

    async def _step(self) -> None:
        assert self._loop is not None
        if not (
            self._waiting or self._again or self._exclusive_again or self._doubts or self._undo
        ):
            self._wake = self._loop.create_future()
            await self._wake
        link = self._link
        if link is None:
            link = await self._reconnect()
            if link is None:
                return
        elif link.is_dirty():
            raise LinkLost("it has a reply that nobody asked for, or was closed")
        if self._doubts or self._undo:
            await self._settle(link)
        batch = self._take()
        if batch:
            await self._exchange(link, batch)

    async def _reconnect(self) -> Optional[Link]:
        self._forget_abandoned()
        if not self._open and not self._undo:
            self._waiting.clear()
            self._again.clear()
            self._exclusive_again.clear()
            self._doubts.clear()
            return None
        try:
            link = await self._open_link()
        except exc.ConnectionError as error:
            self._last_failure = error
            self._attempt_failed(error)
            await self._back_off()
            return None
        self._link = link
        self._watching = False
        self._last_failure = None
        self.connections += 1
        return link

    def _attempt_failed(self, error: exc.ConnectionError) -> None:
        """Tell those who would wait in vain, or asked for one attempt only."""
        for request in list(self._open):
            doubtful = isinstance(request, _Submit) and request.doubtful
            if error.permanent and doubtful:
                assert isinstance(request, _Submit)
                self._fail(request, self._unknown_error(request))
            elif error.permanent or request.impatient:
                ids = request.open_ids() if isinstance(request, _Submit) else ()
                message = f"{_named(ids)} not sent: {error}" if ids else str(error)
                self._fail(
                    request,
                    type(error)(
                        message,
                        job_id=ids[0] if ids else None,
                        job_ids=ids,
                        permanent=error.permanent,
                    ),
                )

    async def _back_off(self) -> None:
        longest = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        await asyncio.sleep(longest * (0.5 + random.random() / 2))

    async def _drop_link(self) -> None:
        link, self._link = self._link, None
        self._busy_since = None
        if link is not None:
            await link.aclose()

    def _forget_abandoned(self) -> None:
        for request in [request for request in self._open if request.future.done()]:
            self._open.discard(request)

    # -- one pipeline ----------------------------------------------------------------------------

    def _take(self) -> _Batch:
        """Take what waits, up to the size of a batch; at least one request."""
        batch = _Batch()
        count = size = 0
        for group in self._again:
            alive = [entry for entry in group if not entry.owner.future.done()]
            if alive:
                batch.transactions.append(Transaction(alive))
        self._again.clear()
        exclusive = self._exclusive_again
        self._exclusive_again = []
        entries: List[Entry] = []
        waiting = self._waiting
        while waiting and count < _MOST_COMMANDS and size < _MOST_BYTES:
            request = waiting.popleft()
            if request.future.done():
                self._open.discard(request)
            elif isinstance(request, _Submit):
                (exclusive if request.exclusive else entries).extend(request.entries)
                count += request.left
                for entry in request.entries:
                    size += len(entry.document)
            else:
                assert isinstance(request, _Calls)
                batch.calls.append(request)
                count += len(request.commands)
                size += request.size
        if entries:
            batch.transactions.append(Transaction(entries))
        batch.exclusive = [entry for entry in exclusive if not entry.owner.future.done()]
        return batch

    async def _exchange(self, link: Link, batch: _Batch) -> None:
        """Send a batch, read all its replies, and only then hand any of them out."""
        self.batches += 1
        try:
            self._in_flight = batch.transactions
            judged = await self._talk(link, batch)
        except BaseException:
            # Cancelled (closing) or lost: each transaction may have been applied or not.
            for transaction in batch.transactions:
                self._doubt(link, transaction.entries, exclusive=False)
            self._exclusive_again.extend(batch.exclusive)
            self._waiting.extendleft(reversed(batch.calls))
            raise
        finally:
            self._in_flight = ()
        refused: Optional[ReplyError] = None
        for verdicts in judged:
            refused = self._hand_out(verdicts) or refused
        if batch.exclusive:
            refused = await self._exchange_exclusive(link, batch.exclusive) or refused
        if self._undo:
            await self._settle(link)
        if refused is not None:
            raise _Refused(str(refused))
        self._failures = 0

    async def _talk(self, link: Link, batch: _Batch) -> List[Verdicts]:
        commands: List[Command] = []
        unwatch, self._watching = self._watching, False
        if unwatch:
            commands.append((b"UNWATCH",))
        for transaction in batch.transactions:
            commands.extend(transaction.commands())
        for request in batch.calls:
            commands.extend(request.commands)
        marker = b""
        if batch.calls:
            # Nothing in a reply says which read it answers; this tells that none was slipped in.
            self._marker += 1
            marker = b"%d" % self._marker
            commands.append((b"ECHO", marker))
        if not commands:
            return []
        replies = iter(await self._round_trip(link, commands))
        if unwatch:
            next(replies)
        judged: List[Verdicts] = []
        for transaction in batch.transactions:
            verdicts = transaction.verdicts([next(replies) for _ in range(transaction.reply_count)])
            if verdicts is None:
                raise LinkLost("its replies are not those of a transaction")
            judged.append(verdicts)
        answers = [[next(replies) for _ in request.commands] for request in batch.calls]
        if marker:
            self._check_marker(next(replies), marker)
        for request, answer in zip(batch.calls, answers):
            transient = next((r for r in answer if _is_transient(r)), None)
            if transient is None:
                self._resolve(request, answer)
            else:
                request.reason = transient
                self._waiting.appendleft(request)
                judged.append(_passing(transient))
        return judged

    async def _round_trip(self, link: Link, commands: Sequence[Command]) -> List[Reply]:
        assert self._loop is not None
        self._busy_since = self._loop.time()
        if self._timer is None or self._timer_at > self._busy_since + self._reply_timeout:
            self._arm(self._busy_since + self._reply_timeout)
        await link.send(pack(commands))
        replies = await link.read_replies(len(commands))
        self._busy_since = None
        return replies

    @staticmethod
    def _check_marker(reply: Reply, marker: bytes) -> None:
        # A user without the right to ECHO still gets an error in the marker's place.
        if reply != marker and not (isinstance(reply, ReplyError) and reply.code == "NOPERM"):
            raise LinkLost("it has a reply that nobody asked for")

    def _hand_out(self, verdicts: Verdicts) -> Optional[ReplyError]:
        """Give each entry's owner its verdict; return why nothing was applied, if it passes."""
        settled = self._settled
        for entry in verdicts.applied:
            settled(entry)
        for entry, reply in verdicts.rejected:
            entry.owner.noted().rejected.append((entry, reply))
            settled(entry)
        self._undo.extend(verdicts.undo)
        self._again.extend(verdicts.again)
        return verdicts.transient

    def _settled(self, entry: Entry) -> None:
        request: _Submit = entry.owner
        entry.owner = None
        request.left -= 1
        if not request.left:
            self._resolve(request, request.outcome)

    # -- submits whose id may exist --------------------------------------------------------------

    async def _exchange_exclusive(
        self, link: Link, entries: Sequence[Entry]
    ) -> Optional[ReplyError]:
        """Queue those that do not exist; WATCH makes looking and queueing one step."""
        firsts: Dict[bytes, Entry] = {}
        for entry in entries:
            firsts.setdefault(entry.key, entry)
        commands: List[Command] = [(b"WATCH", *firsts)]
        commands.extend((b"EXISTS", key) for key in firsts)
        try:
            watched, *found = await self._round_trip(link, commands)
        except BaseException:
            self._exclusive_again.extend(entries)
            raise
        self._watching = True
        error = next((r for r in (watched, *found) if isinstance(r, ReplyError)), None)
        if error is not None:
            return self._refuse_exclusive(entries, error)
        existing = {key for key, reply in zip(firsts, found) if reply}
        chosen = [entry for key, entry in firsts.items() if key not in existing]
        for entry in entries:
            if entry.key in existing:
                entry.owner.noted().existing.append(entry)
                self._settled(entry)
            elif firsts[entry.key] is not entry:
                self._exclusive_again.append(entry)  # it will be found to exist, or take its turn
        return await self._queue_exclusive(link, chosen) if chosen else None

    async def _queue_exclusive(self, link: Link, chosen: List[Entry]) -> Optional[ReplyError]:
        transaction = Transaction(chosen)
        try:
            self._in_flight = (transaction,)
            replies = await self._round_trip(link, transaction.commands())
            self._watching = False
            verdicts = None if replies[-1] is None else transaction.verdicts(replies)
            if verdicts is None and replies[-1] is not None:
                raise LinkLost("its replies are not those of a transaction")
        except BaseException:
            self._doubt(link, chosen, exclusive=True)
            raise
        finally:
            self._in_flight = ()
        if verdicts is None:
            self._exclusive_again.extend(chosen)  # somebody else was faster with one of them
            return None
        self._exclusive_again.extend(entry for group in verdicts.again for entry in group)
        verdicts.again = []
        if verdicts.transient is not None:
            return self._refuse_exclusive(chosen, verdicts.transient)
        return self._hand_out(verdicts)

    def _refuse_exclusive(
        self, entries: Sequence[Entry], reply: ReplyError
    ) -> Optional[ReplyError]:
        verdicts = Verdicts()
        if reply.code in TRANSIENT:
            for entry in entries:
                entry.owner.reason = reply
            self._exclusive_again.extend(entries)
            verdicts.transient = reply
        else:
            verdicts.rejected.extend((entry, reply) for entry in entries)
        return self._hand_out(verdicts)

    # -- lost replies ----------------------------------------------------------------------------

    def _doubt(self, link: Link, entries: Sequence[Entry], *, exclusive: bool) -> None:
        for entry in entries:
            entry.owner.doubtful = True
        self._doubts.append(Doubt(entries, link.client_id, link.run_id, exclusive))

    async def _settle(self, link: Link) -> None:
        """Find out what became of transactions whose reply was lost, and take back leftovers."""
        undo = list(self._undo)
        if undo:
            await self._round_trip(link, undo)
            del self._undo[: len(undo)]
        doubts = list(self._doubts)
        for doubt in doubts:
            doubt.entries = [e for e in doubt.entries if not e.owner.future.done()]
            if doubt.entries:
                settled = await settle(doubt, link, self._round_trip)
                self._carry_out(doubt, settled)
            self._doubts.remove(doubt)

    def _carry_out(self, doubt: Doubt, settled: Verdicts) -> None:
        existing = doubt.existing
        for entry in existing:
            entry.owner.noted().existing.append(entry)
            self._settled(entry)
        again = [entry for group in settled.again for entry in group]
        settled.again = []
        if settled.applied:
            self._failures = 0
        self._hand_out(settled)
        if not doubt.fenced:
            for request in {entry.owner for entry in again}:
                self._fail(request, self._unknown_error(request))
            return
        for entry in again:
            entry.owner.doubtful = False
        if doubt.exclusive:
            self._exclusive_again.extend(again)
        elif again:
            self._again.append(again)


def _is_transient(reply: Reply) -> bool:
    return isinstance(reply, ReplyError) and reply.code in TRANSIENT


def _passing(reply: ReplyError) -> Verdicts:
    verdicts = Verdicts()
    verdicts.transient = reply
    return verdicts


def _named(ids: Sequence[str], *, bare: bool = False) -> str:
    if len(ids) == 1:
        return f"job {ids[0]}" if bare else f"job {ids[0]} was"
    return f"{len(ids)} jobs" if bare else f"{len(ids)} jobs were"
