"""One connection, one owner task: gathers the calls in flight into shared pipelines."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from contextvars import Context
from typing import Awaitable, Callable, List, Optional, Sequence, Union

from . import exceptions as exc
from ._batch import Entry, Transaction, Verdicts
from ._doubts import Doubt, settle
from ._exclusive import ExclusiveSubmits
from ._ledger import Batch, Ledger
from ._lending import Flight, Lender, Loan, go_to_the_loop
from ._outage import Outage
from ._protocol import TRANSIENT, LinkLost, Reply, ReplyError
from ._redis import Command, Link
from ._requests import Callback, Calls, Outcome, Request, Submit, passing_refusal
from ._surroundings import running_loop
from ._tasks import abandon, cancel_and_wait, cancel_task, start_task

__all__ = ["AutoPipeline"]

_log = logging.getLogger("bananas")

_FIRST_BACKOFF = 0.02
_LONGEST_BACKOFF = 0.5
# A thread that writes or reads what is here needs no longer, unless something holds it up.
_A_MOMENT = 0.02


class _Refused(Exception):
    """The server refuses for a reason that passes, and another may not."""

    def __init__(self, reply: ReplyError) -> None:
        super().__init__(str(reply))
        self.reply = reply


class AutoPipeline:
    """Runs the calls of all callers over one connection, one pipeline at a time.

    A caller hands over a request and awaits a future: cancelling it abandons the future and never
    the connection. Whatever waits when the connection is free goes out as one pipeline.

    What can be done without waiting is done where it comes up, in the turn of the loop in which a
    caller asks or replies arrive. All else is done by one owner task: connecting, finding out
    about lost replies, submits whose id may exist, refusals.

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
        server: str = "Redis",
    ) -> None:
        self._open_link = open_link
        self._connect_timeout = connect_timeout
        self._server = server
        self._submit_timeout = submit_timeout
        self._read_timeout = read_timeout
        # A silent link is given up early enough to find out, and to send again, in time.
        self._reply_timeout = 0.4 * min(submit_timeout, read_timeout)
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._task: Optional[asyncio.Task[None]] = None
        self._closed = False
        self._link: Optional[Link] = None
        self._ledger = Ledger()
        self._outage = Outage("submits and reads")
        self._in_flight: Optional[Batch] = None
        self.lender: Lender = Lender()
        self._parked: Optional[asyncio.Future[Optional[Batch]]] = None
        self._turn_awaited = False
        self._timer: Optional[asyncio.TimerHandle] = None
        self._timer_at = 0.0
        self._busy_since: Optional[float] = None
        self._lost_at = float("-inf")
        self._failures = 0
        self._busy_with: Optional[ReplyError] = None
        self._last_failure: Optional[exc.ConnectionError] = None
        self._marker = 0
        self._exclusive = ExclusiveSubmits(
            self._ledger, self._round_trip, self._checked_round_trip, self._check_refusals
        )
        self.process: Optional[int] = None
        self.connections: int = 0
        self.batches: int = 0

    # -- what callers use ------------------------------------------------------------------------

    async def connect(self) -> None:
        """Make sure of a connection, with one attempt; more where the server is not ready yet.

        Raises:
            exceptions.ConnectionError: There is none to be had.
        """
        request = self._calls([(b"PING",)], timeout=self._connect_timeout)
        request.impatient = True
        self._add(request)
        try:
            await request.future
        except exc.ServerError as error:
            raise exc.ConnectionError(str(error)) from error

    async def call(
        self,
        commands: Sequence[Command],
        size: int = 0,
        timeout: Optional[float] = None,
        *,
        writes: bool = False,
    ) -> List[Reply]:
        """Run commands that may be run again, and return a reply for each.

        Args:
            commands: Reads, or writes that are idempotent; MULTI and EXEC included if need be.
            size: Bytes to be written, where they are many.
            writes: Whether they write: then none is applied late, after its repetition.
            timeout: Limit in seconds; None is the read time-out.

        Raises:
            exceptions.ConnectionError: No connection could be made.
            exceptions.TimeoutError: No reply came in time.
        """
        request = self._calls(commands, size, timeout, writes)
        self._add(request)
        replies: List[Reply] = await request.future
        return replies

    def start(
        self,
        commands: Sequence[Command],
        then: Callable[[Optional[List[Reply]], Optional[BaseException]], None],
    ) -> None:
        """Hand reads over, as ``call`` does, and have ``then`` called with replies or an error.

        Where nothing else is to be sent, they go out at once, and the books are kept afterwards.
        """
        marker, link = self._send_alone(commands), self._link
        self._add(self._calls(commands, future=Callback(then)), soon=False)
        if marker is None or link is None:
            self.send_now()
            return
        self.batches += 1
        batch = self._in_flight = self._ledger.take()
        batch.marker = marker
        self._set_out(batch.transactions)
        link.expect(len(commands) + 1, self._landed)

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
        loop = asyncio._get_running_loop()
        if loop is None or loop is not self._loop:
            loop = self.running_loop()
        request = self._submit(loop, entries, exclusive)
        self._add(request)
        future: asyncio.Future[Optional[Outcome]] = request.future
        return future

    def submit(self, entry: Entry, *, exclusive: bool = False) -> Awaitable[Optional[Outcome]]:
        """Do what ``start_submit`` does, for one entry, and on a thread without a loop too."""
        if asyncio._get_running_loop() is None and self.lender.is_willing:
            assert not exclusive
            return self._submit_here(entry)
        return self.start_submit((entry,), exclusive=exclusive)

    def send_now(self) -> None:
        """Send what waits, if the owner has left the link to us, and nothing is on its way.

        Who calls it gives others no turn in which to join in.
        """
        parked = self._parked
        if parked is None or parked.done() or self._in_flight is not None:
            return
        try:
            if self._link is None:
                if self._ledger.has_work:
                    self._call_owner(None)
            elif self._link.is_dirty:
                raise LinkLost("it has a reply that nobody asked for, or was closed")
            else:
                batch = self._ledger.take()
                if batch:
                    self._begin(self._link, batch)
        except Exception as error:
            self._call_owner(error)

    @property
    def loop(self) -> Optional[asyncio.AbstractEventLoop]:
        """The loop that it has been used in, if it has."""
        return self._loop

    def let_go(self) -> None:
        """Begin to close: nothing new is taken, and the owner ends."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        cancel_task(self._task)

    async def close(self) -> None:
        """End the owner, drop the connection, and fail what is under way."""
        self.let_go()
        task, self._task = self._task, None
        try:
            if task is not None:
                await cancel_and_wait(task)
        finally:
            self._ledger.close()

    def shut_down(self) -> None:
        """End the connection on whichever thread; its loop does not run, and may never again."""
        if self._link is not None:
            self._link.shut_down()

    def abandon(self) -> None:
        """End the owner, whose loop is closed."""
        self._closed = True
        abandon(self._task)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known; one that is lent is taken back."""
        if self.lender.loan is not None:
            self._recall()
        return self._link is not None and not self._link.is_lost

    @property
    def open_requests(self) -> int:
        """How many requests are under way."""
        return len(self._ledger.open)

    # -- requests --------------------------------------------------------------------------------

    def _submit(
        self, loop: asyncio.AbstractEventLoop, entries: Sequence[Entry], exclusive: bool
    ) -> Submit:
        now = loop.time()
        return Submit(
            loop.create_future(),
            now + self._submit_timeout,
            now + min(self._submit_timeout, self._connect_timeout),
            entries,
            exclusive,
        )

    def _calls(
        self,
        commands: Sequence[Command],
        size: int = 0,
        timeout: Optional[float] = None,
        writes: bool = False,
        future: Union[asyncio.Future[List[Reply]], Callback, None] = None,
    ) -> Calls:
        loop = self.running_loop()
        now = loop.time()
        limit = self._read_timeout if timeout is None else timeout
        return Calls(
            loop.create_future() if future is None else future,
            now + limit,
            now + min(limit, self._connect_timeout),
            commands,
            size,
            writes,
        )

    def running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop, once the client's for good.

        Raises:
            RuntimeError: It is another one, or there is none.
            exceptions.ClientClosedError: The client was closed, in whichever loop.
        """
        loop = asyncio._get_running_loop()
        if loop is None or loop is not self._loop:
            self._refuse_closed()
            loop = running_loop()
            if self._loop is not None:
                raise RuntimeError(_foreign(self._loop))
            self._loop = loop
            self.process = os.getpid()
        return loop

    def _refuse_closed(self) -> None:
        if self._closed:
            raise exc.ClientClosedError("the client is closed; make a new one")

    def _add(self, request: Request, *, soon: bool = True) -> None:
        self._refuse_closed()
        assert self._loop is not None
        if self.lender.loan is not None:
            self._recall()
        self._ledger.add(request)
        if self._timer is None or request.patience < self._timer_at:
            self._arm(request.patience)
        if self._parked is not None:
            if soon and self._in_flight is None:
                self._send_soon()
        elif self._task is None or self._task.done():  # cancelled from outside, say
            self._task = start_task(self._loop, self._run(), "bananas auto-pipeline")

    # -- deadlines: one timer for all, which looks at most every so often --------------------------

    def _arm(self, when: float) -> None:
        """Have the timer go off by then at the latest."""
        assert self._loop is not None
        if self._timer is not None:
            if self._timer_at <= when:
                return
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._on_timer, context=Context())

    def _on_timer(self) -> None:
        assert self._loop is not None
        self._timer = None
        now = self._loop.time()
        busy = self._busy_since
        if busy is not None and now >= busy + self._reply_timeout and self._link is not None:
            _log.debug("no reply for %.1f s: giving the connection up", self._reply_timeout)
            self._link.abort()
        failure = self._last_failure
        if failure is None and self._link is None:
            failure = exc.ConnectionError(
                f"{self._server} did not answer within {self._connect_timeout:g} s"
            )
        soonest = self._ledger.expire(
            now,
            failure,
            self._busy_with or passing_refusal(self._last_failure),
            connected=self._link is not None,
            patient_until=self._lost_at + self._connect_timeout,
        )
        busy = self._busy_since
        if busy is not None:
            silent_at = busy + self._reply_timeout
            soonest = silent_at if soonest is None else min(soonest, silent_at)
        if soonest is not None:
            self._arm(max(soonest, now + 0.001))

    # -- the owner -------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            # Below 3.11 a cancellation that comes with the end of a time limit gets lost in it.
            while not self._closed:
                defect: Optional[exc.BananasError] = None
                try:
                    await self._step()
                except LinkLost as error:
                    if self._link is not None:
                        self._outage.lost(self._link.endpoint, error)
                    await self._drop_link()
                    if self._failures:
                        await self._back_off()
                    else:
                        self._failures = 1  # until something succeeds
                except _Refused as error:
                    _log.debug("server refuses for now: %s", error)
                    # Any other connection would meet the script, too.
                    if error.reply.code == "BUSY":
                        self._busy_with = error.reply
                    else:
                        if self._link is not None:
                            self._outage.lost(self._link.endpoint, error)
                        await self._drop_link()
                    await self._back_off()
                except Exception as error:
                    # A defect of ours must end nobody's wait in silence, nor the owner.
                    _log.exception("internal error in the auto-pipeline")
                    defect = exc.BananasError(f"internal error: {error!r}")
                if defect is not None:
                    await self._drop_link()
                    self._ledger.fail_all(defect)
        finally:
            await self._drop_link()

    async def _step(self) -> None:
        assert self._loop is not None
        ledger = self._ledger
        link = self._link
        if link is None and ledger.has_work:
            link = await self._reconnect()
            if link is None:
                return
        if link is not None and self._busy_with is not None:
            await self._ask_whether_ready(link)
        while link is not None and (ledger.doubts or ledger.undo):
            await self._settle(link)
        # Batches that nothing is wrong with come and go meanwhile, without this task.
        self._parked = self._loop.create_future()
        try:
            self.send_now()
            batch = await self._parked
        finally:
            self._parked = None
        if batch is not None and link is not None:
            await self._conclude(link, batch)

    async def _ask_whether_ready(self, link: Link) -> None:
        """Make sure that a script has ended: a submit under way at its deadline is unknown."""
        for reply in await self._checked_round_trip(link, [(b"PING",)]):
            if _is_transient(reply):
                raise _Refused(reply)
        self._busy_with = None

    async def _reconnect(self) -> Optional[Link]:
        self._ledger.forget_abandoned()
        if not self._ledger.has_work:
            return None
        link: Optional[Link] = None
        failure: Optional[exc.ConnectionError] = None
        try:
            link = await self._open_link()
        except exc.ConnectionError as error:
            failure = error
        if self._closed:
            if link is not None:
                await link.aclose()
            return None
        # Not inside the handler: who is told may raise, and the failure would be its context.
        if link is None:
            assert failure is not None
            self._last_failure = failure
            self._outage.refused(failure)
            self._ledger.connection_refused(failure)
            await self._back_off()
            return None
        self._link = link
        self._outage.ended(link.endpoint, link.run_id)
        link.on_lost = self._on_lost
        self._exclusive.watching = False
        self._last_failure = None
        self.connections += 1
        return link

    async def _back_off(self) -> None:
        # Who asks meanwhile is to see an attempt within the patience of a request.
        longest = min(
            _LONGEST_BACKOFF, self._connect_timeout / 2, _FIRST_BACKOFF * 2**self._failures
        )
        self._failures = min(self._failures + 1, 10)
        await asyncio.sleep(longest * (0.5 + random.random() / 2))

    async def _drop_link(self) -> None:
        if self.lender.loan is not None:
            self._recall()
        link, self._link = self._link, None
        batch, self._in_flight = self._in_flight, None
        self._busy_since = None
        if link is not None:
            assert self._loop is not None
            self._lost_at = self._loop.time()
            self._busy_with = None
            if batch is not None:
                self._doubt(batch, link)
            await link.aclose()

    def _on_lost(self, reason: LinkLost) -> None:
        self._call_owner(reason)

    def _call_owner(self, why: Union[Batch, Exception, None]) -> None:
        """Wake the owner, for what it alone can do; whoever comes second is found by it."""
        parked = self._parked
        if parked is not None and not parked.done():
            if isinstance(why, Exception):
                parked.set_exception(why)
            else:
                parked.set_result(why)

    # -- one pipeline, as a rule without the owner -------------------------------------------------

    def _send_soon(self) -> None:
        """Send once all who are ready to run have had their turn, and may have added something."""
        assert self._loop is not None
        if not self._turn_awaited:
            self._turn_awaited = True
            self._loop.call_soon(self._on_turn, context=Context())

    def _on_turn(self) -> None:
        self._turn_awaited = False
        self.send_now()

    def _send_alone(self, commands: Sequence[Command]) -> Optional[bytes]:
        """Send reads if nothing is under way or waits; return their marker, or None if not sent."""
        if self.lender.loan is not None:
            self._recall()
        parked, link = self._parked, self._link
        if parked is None or parked.done() or link is None or self._in_flight is not None:
            return None
        if self._ledger.has_work or self._exclusive.watching or link.is_dirty:
            return None
        marker = self._new_marker()
        try:
            link.send([*commands, (b"ECHO", marker)])
        except Exception as error:
            self._call_owner(error)
            return None
        return marker

    def _begin(self, link: Link, batch: Batch) -> None:
        self.batches += 1
        self._in_flight = batch
        if link.no_transactions is not None and (batch.transactions or batch.exclusive):
            self._call_owner(batch)
            return
        commands: List[Command] = []
        batch.unwatch, self._exclusive.watching = self._exclusive.watching, False
        if batch.unwatch:
            commands.append((b"UNWATCH",))
        for transaction in batch.transactions:
            commands.extend(transaction.commands())
        for request in batch.calls:
            commands.extend(request.commands)
        if batch.calls:
            batch.marker = self._new_marker()
            commands.append((b"ECHO", batch.marker))
        if commands:
            link.send(commands)
            self._set_out(batch.transactions)
            link.expect(len(commands), self._landed)
        else:
            self._call_owner(batch)

    def _landed(self, replies: List[Reply]) -> None:
        """Hand the replies of a batch out; one that is not as it should be is the owner's."""
        batch = self._in_flight
        assert batch is not None
        try:
            self._busy_since = None
            if batch.transactions:
                _mark(batch.transactions, in_flight=False)
            if not self._judge(batch, replies) or batch.exclusive:
                self._call_owner(batch)
                return
            self._failures = 0
            idle = self._link if self.lender.is_willing and not self._ledger.has_work else None
            if idle is not None:
                # Before its caller is told, who would ask for the next before it could be lent.
                self._in_flight = None
                self.lender.offer(idle, batch)
            for verdicts in batch.judged:
                self._ledger.hand_out(verdicts)
            if idle is None:
                self._in_flight = None
            # Who came meanwhile does not wait for a turn in which those just answered go on.
            if self._ledger.has_work:
                self.lender.has_company()
                self.send_now()
        except Exception as error:
            self._call_owner(error)

    def _judge(self, batch: Batch, replies: List[Reply]) -> bool:
        """Note the verdicts on the transactions, and give the calls their replies.

        Returns:
            Whether nothing was refused.

        Raises:
            LinkLost: They are not the replies to this batch.
        """
        echo = None if batch.marker is None else replies.pop()
        at = 1 if batch.unwatch else 0
        clean = True
        for transaction in batch.transactions:
            end = at + transaction.reply_count
            verdicts = transaction.verdicts(replies[at:end])
            if verdicts is None:
                raise LinkLost("its replies are not those of a transaction")
            batch.judged.append(verdicts)
            clean = clean and verdicts.is_clean
            at = end
        if any(verdicts.unfinished for verdicts in batch.judged):
            self._ledger.call_again(batch.calls)  # what they got belongs to the transaction
            return False
        passing: Optional[ReplyError] = None
        if batch.marker is not None:
            passing = _check_marker(echo, batch.marker)
            batch.is_checked = passing is None
        for request in batch.calls:
            end = at + len(request.commands)
            answer = replies[at:end]
            at = end
            transient = passing or next(filter(_is_transient, answer), None)
            if transient is None:
                self._ledger.resolve(request, answer)
            else:
                request.reason = transient
                self._ledger.call_again([request])
                batch.judged.append(_passing(transient))
                clean = False
        return clean

    def _doubt(self, batch: Batch, link: Link) -> None:
        """The link is lost: each transaction of the batch may have been applied or not."""
        ledger = self._ledger
        _mark(batch.transactions, in_flight=False)
        for transaction in batch.transactions:
            ledger.doubt(Doubt(transaction.entries, link))
        if any(request.writes for request in batch.calls):
            ledger.doubt(Doubt((), link, writes=True))
        ledger.submit_again(batch.exclusive, exclusive=True)
        ledger.call_again(batch.calls)

    # -- lent to the threads of blocking callers ---------------------------------------------------

    async def _submit_here(self, entry: Entry) -> Optional[Outcome]:
        """Submit from a thread without a loop; what is out of the ordinary goes on in ours."""
        loop, loan = self._loop, self.lender.loan
        assert loop is not None
        request = self._submit(loop, (entry,), exclusive=False)
        flight = Flight(request)
        try:
            lent = loan if loan is not None and loan.take(flight) else None
            if lent is not None and lent.carry(flight, self._reply_timeout):
                if lent.give_back():
                    self._have_loop(self._forget_flight, loan, flight)
                return None
            await go_to_the_loop()
        except BaseException:
            self._have_loop(self._forget_flight, loan, flight)
            raise
        self._take_over(loan, flight)
        if request not in self._ledger.open and not request.future.done():
            self._add(request)
            self.send_now()
        outcome: Optional[Outcome] = await request.future
        return outcome

    def _have_loop(self, function: Callable[..., object], *args: object) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # it has ended, and the connection with it
            self._loop.call_soon_threadsafe(function, *args)

    def _forget_flight(self, loan: Optional[Loan], flight: Flight) -> None:
        """Bring a flight to its end that nobody awaits."""
        flight.request.future.cancel()  # an error in it is then no longer one that nobody looked at
        self._take_over(loan, flight)

    def _recall(self) -> None:
        """Take the connection back; what a thread has sent on it is in flight from now on."""
        loan, flight = self.lender.recall()
        self.batches += loan.flights
        if flight is None:
            self._look_again(loan)
        else:
            self.batches += 1
            self._in_flight = flight.batch
            self._ledger.open.add(flight.request)
            _mark(flight.batch.transactions, in_flight=True)
            self._busy_since = flight.request.deadline - self._submit_timeout
            self._arm(self._busy_since + self._reply_timeout)
            self._go_on_with(loan, flight, patient=True)

    def _look_again(self, loan: Loan) -> None:
        if self._link is not None:
            if not loan.is_quiet:
                self._link.abort()
            self._link.take_back()

    def _take_over(self, loan: Optional[Loan], flight: Flight) -> None:
        """Go on with a flight that its thread does not go on with."""
        if loan is not None:
            if loan is self.lender.loan and loan.holder is flight:
                self._recall()
            self._go_on_with(loan, flight)

    def _go_on_with(self, loan: Loan, flight: Flight, *, patient: bool = False) -> None:
        """Go on where its thread has stopped, or has not begun; none of it is done twice.

        Args:
            loan: What the thread may have used.
            flight: The flight.
            patient: Leave the thread a moment where it is writing, or has the replies.
        """
        link = self._link
        if self._in_flight is not flight.batch or link is None or flight.is_taken_over:
            return  # it has not begun, or has ended, or its link was lost, which others see to
        if flight.may_write(self):
            flight.is_taken_over = True
            self._in_flight = self._busy_since = None
            self._ledger.open.discard(flight.request)
            _mark(flight.batch.transactions, in_flight=False)
            self._look_again(loan)
            self.send_now()
        elif flight.is_written and flight.may_read(self):
            self._read_on(link, loan, flight)
        elif patient:
            assert self._loop is not None
            self._loop.call_later(_A_MOMENT, self._go_on_with, loan, flight, context=Context())
        elif flight.received is not None:
            self._read_on(link, loan, flight)
        else:
            link.abort()  # how far it has come can't be told

    def _read_on(self, link: Link, loan: Loan, flight: Flight) -> None:
        flight.is_taken_over = True
        loan.wake()
        link.take_back(rung=True)
        link.expect(flight.batch.transactions[0].reply_count, self._landed)
        link.go_on(flight.data, flight.received or b"")

    # -- what the owner does of it -----------------------------------------------------------------

    async def _conclude(self, link: Link, batch: Batch) -> None:
        """Bring a batch to its end that needs more than one pipeline."""
        ledger = self._ledger
        if link.no_transactions is not None and (batch.transactions or batch.exclusive):
            self._in_flight = None
            self._refuse_transactions(link.no_transactions, batch)
            raise LinkLost("transactions are refused; another connection may be allowed them")
        if not batch.is_checked:
            await self._check_refusals(link, batch.judged, batch.transactions)
        self._in_flight = None
        refused: Optional[ReplyError] = None
        for verdicts in batch.judged:
            refused = ledger.hand_out(verdicts) or refused
        if batch.exclusive:
            refused = await self._exclusive.submit(link, batch.exclusive) or refused
        if ledger.undo:
            await self._settle(link)
        if refused is not None:
            raise _Refused(refused)
        self._failures = 0

    def _refuse_transactions(self, reply: ReplyError, batch: Batch) -> None:
        """Send nothing of a transaction that would be run as single commands."""
        groups = [*(transaction.entries for transaction in batch.transactions), batch.exclusive]
        verdicts = Verdicts()
        verdicts.rejected.extend((entry, reply) for group in groups for entry in group)
        self._ledger.hand_out(verdicts)
        self._ledger.call_again(batch.calls)

    def _set_out(self, transactions: Sequence[Transaction]) -> None:
        assert self._loop is not None
        self._busy_since = self._loop.time()
        self._arm(self._busy_since + self._reply_timeout)
        _mark(transactions, in_flight=True)

    async def _round_trip(
        self, link: Link, commands: Sequence[Command], transactions: Sequence[Transaction] = ()
    ) -> List[Reply]:
        """Send commands and read their replies; a deadline may fall in between."""
        self._set_out(transactions)
        try:
            link.send(commands)
            replies = await link.read_replies(len(commands))
        finally:
            _mark(transactions, in_flight=False)
        self._busy_since = None
        return replies

    async def _checked_round_trip(
        self, link: Link, commands: Sequence[Command], transactions: Sequence[Transaction] = ()
    ) -> List[Reply]:
        """Make sure, too, that no reply was slipped in: nothing in one says what it answers."""
        marker = self._new_marker()
        *replies, echo = await self._round_trip(link, [*commands, (b"ECHO", marker)], transactions)
        refusal = _check_marker(echo, marker)
        if refusal is None:
            return replies
        await self._check_order(link, transactions)
        return [refusal] * len(replies)

    async def _check_order(self, link: Link, transactions: Sequence[Transaction]) -> None:
        self._set_out(transactions)
        try:
            await link.check_order()
        finally:
            _mark(transactions, in_flight=False)
        self._busy_since = None

    def _new_marker(self) -> bytes:
        self._marker += 1
        return b"%d" % self._marker

    async def _check_refusals(
        self, link: Link, judged: Sequence[Verdicts], transactions: Sequence[Transaction]
    ) -> None:
        """Make sure that an error, which says nothing of what it answers, is no stray one."""
        if any(verdicts.rejected or verdicts.again for verdicts in judged):
            unfinished = any(verdicts.unfinished for verdicts in judged)
            commands: List[Command] = [(b"DISCARD",)] if unfinished else []
            await self._checked_round_trip(link, commands, transactions)

    # -- lost replies ----------------------------------------------------------------------------

    async def _settle(self, link: Link) -> None:
        """Find out what became of transactions whose reply was lost, and take back leftovers."""
        ledger = self._ledger
        if ledger.undo:
            undo = list(ledger.undo)
            replies = await self._checked_round_trip(link, undo)
            passing = next((reply for reply in replies if _is_transient(reply)), None)
            if passing is not None:
                raise _Refused(passing)  # a primary that was demoted, say: not undone yet
            ledger.undone(len(undo))
        for doubt in list(ledger.doubts):
            doubt.entries = [e for e in doubt.entries if not e.owner.future.done()]
            if doubt.entries or doubt.writes:
                self._carry_out(doubt, await settle(doubt, link, self._checked_round_trip))
            ledger.doubts.remove(doubt)

    def _carry_out(self, doubt: Doubt, settled: Verdicts) -> None:
        ledger = self._ledger
        if settled.applied:
            self._failures = 0
        if not doubt.fenced:
            for request in {entry.owner for group in settled.again for entry in group}:
                ledger.fail(request, request.unknown())
            settled.again = []
        ledger.note_existing(doubt.existing)
        ledger.hand_out(settled, exclusive=doubt.exclusive)


def _foreign(loop: asyncio.AbstractEventLoop) -> str:
    if loop.is_closed():
        return (
            "this client belongs to another event loop, which has ended: close() the client before "
            "its asyncio.run ends, and make a new one in the next"
        )
    return "this client belongs to another event loop; make one client for each loop"


def _mark(transactions: Sequence[Transaction], *, in_flight: bool) -> None:
    for transaction in transactions:
        for entry in transaction.entries:
            entry.owner.in_flight = in_flight


def _check_marker(echo: Reply, marker: bytes) -> Optional[ReplyError]:
    """Return why the marker is not there, where the server refuses ECHO for a while.

    Redis 6.2 does so on a replica that may not serve old data; all do while a script runs.
    """
    # A user without the right to ECHO still gets an error in the marker's place.
    if echo == marker or (isinstance(echo, ReplyError) and echo.code == "NOPERM"):
        return None
    if isinstance(echo, ReplyError) and echo.code in TRANSIENT:
        return echo
    raise LinkLost("it has a reply that nobody asked for")


def _is_transient(reply: Reply) -> bool:
    return isinstance(reply, ReplyError) and reply.code in TRANSIENT


def _passing(reply: ReplyError) -> Verdicts:
    verdicts = Verdicts()
    verdicts.transient = reply
    return verdicts
