"""Owns a connection: carries out what the state machine decides, and tells it what happens."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import random
from typing import Awaitable, Callable, List, Optional, Sequence, Set

from .. import exceptions as exc
from .._background_tasks import abandon, cancel_and_wait, start_task
from .._redis import Command, ConnectionLog, Link, LinkLost, Reply, ReplyError
from .._timer import Timer
from .batch import BATCH_COMMANDS
from .recovery import LinkFacts
from .requests import Request, Submit
from .state_machine import StateMachine
from .states import CLOSED, CONNECTING

__all__ = ["ConnectionOwner", "closed"]

_log = logging.getLogger("bananas")
_DEFECT = {"bananas_event": "internal_error"}

# An attempt to connect that somebody else has cancelled is made again after so many seconds, if no
# call comes before. At once, it would outlive the loop that is being shut down.
_RESTART = 0.1

# Nobody waits behind a reply of more bytes, nor behind one of some bytes that comes for longer. A
# short one does not count: on a busy machine it may come in pieces, too.
_LONG = 1 << 20
_SOME = 1 << 16
_LONG_TIME = 0.25


class ConnectionOwner:
    """One connection, for requests of one loop.

    Its task makes the connection, and drops it when somebody cancels all tasks of the loop. All
    else happens in the turn of the loop in which a caller asks, replies arrive, or the timer goes
    off.

    Args:
        loop: The loop of those who ask.
        open_link: Makes a connected link, or raises ``exceptions.ConnectionError``.
        connect_timeout: For how many seconds a request that was never sent waits for a connection.
        silence: For how many seconds the connection may be silent where no request tells.
        server: What is connected to, for messages.
        most_requests: How many requests go into a batch at most.
        on_progress: Called with the owner when a part of a reply has come.

    Attributes:
        machine: The state machine.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        open_link: Callable[[], Awaitable[Link]],
        connect_timeout: float,
        silence: float,
        server: str,
        most_requests: int = BATCH_COMMANDS,
        on_progress: Callable[[ConnectionOwner], None] = lambda owner: None,
    ) -> None:
        self._loop = loop
        self._open_link = open_link
        self.machine = StateMachine(
            self,
            no_connection=exc.ConnectionError(
                f"{server} did not answer within {connect_timeout:g} s"
            ),
            connect_timeout=connect_timeout,
            silence=silence,
            jitter=random.random,
            most_requests=most_requests,
        )
        self._progress = on_progress
        self._link: Optional[Link] = None
        self._connection_log = ConnectionLog("submits and reads")
        self._task: Optional[asyncio.Task[None]] = None
        self._released: Optional[asyncio.Future[None]] = None
        self._is_attempting = False
        self._timer = Timer(self._on_timer)
        self._is_turn_awaited = False
        self._received = 0  # bytes of the replies that are on their way
        self._long_at = 0.0
        # Not the first caller's context variables: these would be kept alive, and be seen here.
        self._context = contextvars.Context()

    # -- what callers ask for --------------------------------------------------------------------

    def ask(self, request: Request, *, at_once: bool = False) -> None:
        """Take a request in.

        Raises:
            exceptions.ClientClosedError: The client was closed.
        """
        self._refuse_closed()
        if self.machine.state is CONNECTING:
            self.connect()
        self._tell(self.machine.request, request, self._loop.time(), at_once=at_once)

    def settle(self, submit: Submit, facts: LinkFacts) -> None:
        """Find out what became of a submit whose reply was lost on another connection.

        Raises:
            exceptions.ClientClosedError: The client was closed.
        """
        self._refuse_closed()
        self._tell(self.machine.reply_lost, submit, facts, self._loop.time())

    def _refuse_closed(self) -> None:
        if self.machine.state is CLOSED:
            raise closed()

    # -- the effects: see ``Effects`` ------------------------------------------------------------

    def connect(self) -> None:
        """Begin to make a connection, unless an attempt is under way.

        It may not be, since somebody else may cancel the task that makes it.
        """
        if not self._is_attempting:
            self._is_attempting = True
            self._task = start_task(self._loop, self._own_link(), "bananas pipeline")
            self._task.add_done_callback(self._on_task_done, context=self._context)

    def send(self, commands: List[Command]) -> None:
        """Write commands, and expect a reply to each."""
        link = self._link
        self._received = 0
        try:
            if link is None or link.is_dirty:
                raise LinkLost("it has an unexpected reply, or was closed")
            link.send(commands)
            link.expect(len(commands), self._on_replies)
        except LinkLost as error:
            self._on_lost(error)

    def drop(self, reason: Optional[str]) -> None:
        """Drop the connection at once."""
        link, self._link = self._link, None
        self._received = 0
        if link is None:
            return
        if reason is not None:
            self._connection_log.lost(link.endpoint, LinkLost(reason))
        link.on_lost = None
        link.report_progress(None)
        link.abort()
        if self._released is not None and not self._released.done():
            self._released.set_result(None)

    def send_soon(self) -> None:
        """Send once all who are ready to run have had their turn."""
        if not self._is_turn_awaited:
            self._is_turn_awaited = True
            self._loop.call_soon(self._on_turn, context=self._context)

    def wake_at(self, when: float) -> None:
        """Set the timer; an attempt to connect that is to be made before is not put off."""
        self._timer.set_sooner(self._loop, when)

    def unsent(self) -> int:
        """Return how many bytes the transport holds."""
        return 0 if self._link is None else self._link.unsent

    # -- the events ------------------------------------------------------------------------------

    def _tell(self, event: Callable[..., None], *args: object, **options: bool) -> None:
        """Tell the state machine; after an error of our own every caller gets an error."""
        try:
            event(*args, **options)
        except Exception as error:
            self._on_defect(error)

    def _on_defect(self, error: Exception) -> None:
        _log.exception("internal error in the pipeline", extra=_DEFECT)
        self.machine.fail_all(exc.BananasError(f"internal error: {error!r}"), self._loop.time())

    def _on_turn(self) -> None:
        self._is_turn_awaited = False
        self._tell(self.machine.send_now, self._loop.time())

    def _on_timer(self) -> None:
        if self.machine.state is CONNECTING:
            self.connect()
        self._tell(self.machine.time, self._loop.time())

    def _on_replies(self, replies: List[Reply]) -> None:
        self._received = 0
        self._tell(self.machine.replies, replies, self._loop.time())

    def _on_progress(self, count: int) -> None:
        now = self._loop.time()
        if not self._received:
            self._long_at = now + _LONG_TIME
        self._received += count
        self._progress(self)
        self.machine.round_trip.moved(count, now)

    def _on_lost(self, reason: LinkLost) -> None:
        replies = () if self._link is None else self._link.unread
        self._tell(self.machine.link_lost, str(reason), self._loop.time(), replies)

    async def _own_link(self) -> None:
        """Make a connection, and wait while it lasts: if all tasks are cancelled, drop it."""
        released = self._released = self._loop.create_future()
        try:
            link = await self._open()
            if link is not None:
                self._take(link)
                await released
        except asyncio.CancelledError:
            if not released.done():  # else all that there is now is another task's
                link = self._link
                if self.machine.state is not CLOSED:
                    self._on_cancelled()
                if link is not None:
                    await link.aclose()
            raise

    async def _open(self) -> Optional[Link]:
        failure: Optional[exc.ConnectionError] = None
        try:
            return await self._open_link()
        except exc.ConnectionError as error:
            failure = error
        except Exception as error:
            self._on_defect(error)
            return None
        finally:
            self._is_attempting = False
        # Not inside the handler: who is told may raise, and the failure would be its context.
        self._connection_log.refused(failure)
        self._tell(self.machine.link_failed, failure, self._loop.time(), _refusal(failure))
        return None

    def _take(self, link: Link) -> None:
        self._link = link
        self._connection_log.connected(link.endpoint, link.run_id)
        link.on_lost = self._on_lost
        link.report_progress(self._on_progress)
        self._tell(self.machine.link_up, LinkFacts.of(link), self._loop.time())

    def _on_cancelled(self) -> None:
        """Somebody has cancelled all tasks: the loop may be about to end."""
        self._is_attempting = True  # so that no task starts now, which would outlive the loop
        self._tell(self.machine.link_cancelled, self._loop.time())
        self._restart_soon()

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        """See whether the task was cancelled before its first step: then it has run no code."""
        if task is self._task and self._is_attempting:
            self._restart_soon()

    def _restart_soon(self) -> None:
        self._is_attempting = False
        if self.machine.state is CONNECTING:
            self._timer.set_sooner(self._loop, self._loop.time() + _RESTART)

    # -- what it is like, and the end ------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._link is not None and not self._link.is_lost

    @property
    def is_held_up(self) -> bool:
        """Whether a long reply is on its way, behind which all else would have to wait."""
        received = self._received
        return received > _SOME and (received > _LONG or self._loop.time() >= self._long_at)

    def take_waiting(self) -> Sequence[Request]:
        """Remove and return what was never sent, for another connection to send it."""
        return self.machine.pending.take_waiting(self.machine.round_trip.batch)

    def may_yet_queue(self, job_ids: Set[str]) -> bool:
        """Whether what was sent on the connection may yet queue one of these jobs."""
        return self.machine.pending.may_yet_queue(job_ids, self.machine.round_trip.batch)

    def let_go(self) -> None:
        """Begin to close: nothing new is taken, and what is under way fails."""
        loop = self._loop
        if loop.is_running() and asyncio._get_running_loop() is not loop:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(self._close_machine, context=self._context)
        else:
            self._close_machine()

    def _close_machine(self) -> None:
        self.machine.close(self._loop.time())
        self._timer.cancel()

    async def close(self) -> None:
        """Drop the connection, and fail what is under way."""
        link, task = self._link, self._task
        self._task = None
        self.let_go()
        try:
            if task is not None:
                await cancel_and_wait(task)
        finally:
            if link is not None and asyncio._get_running_loop() is self._loop:
                await link.aclose()

    def shut_down(self) -> None:
        """End the connection on whichever thread; its loop does not run, and may never again."""
        if self._link is not None:
            self._link.shut_down()

    def abandon(self) -> None:
        """End all where the loop is closed, and nobody waits any more."""
        self.machine.abandon()
        self._released = None
        self.drop(None)
        abandon(self._task)


def closed() -> exc.ClientClosedError:
    """Return the error of a call after the client was closed."""
    return exc.ClientClosedError("the client is closed; make a new one")


def _refusal(failure: exc.ConnectionError) -> Optional[ReplyError]:
    """Return the server's reply that it is not ready yet, if that is why."""
    reply = getattr(failure.__cause__, "reply", None)
    return reply if isinstance(reply, ReplyError) else None
