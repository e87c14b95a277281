"""Owns a connection: carries out what the state machine decides, and tells it what happens."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from typing import Any, Awaitable, Callable, Coroutine, List, Optional, Sequence, Union

from .. import exceptions as exc
from .._protocol import Command, LinkLost, Reply, ReplyError
from .._redis import Link
from .._surroundings import running_loop
from .._tasks import cancel_and_wait
from .core import Core
from .recovery import LinkFacts
from .requests import Call, Callback, NotQueued, Request, Submit
from .state import State

__all__ = ["LARGE", "Owner"]

_log = logging.getLogger("bananas")

# An attempt to connect that somebody else has cancelled is made again after so many seconds, if no
# call comes before. At once, it would outlive the loop that is being shut down.
_RESTART = 0.1

#: A document of more bytes is sent on a second connection, one at a time: no server's limit on
#: values can be lower. Behind a reply of more bytes nothing is read that need not be.
LARGE = 1 << 20


class Owner:
    """One connection, for requests of one loop.

    It has a task only while it connects. All else happens in the turn of the loop in which a caller
    asks, replies arrive, or the timer goes off.

    Args:
        open_link: Makes a connected link, or raises ``exceptions.ConnectionError``.
        connect_timeout: For how many seconds a request that was never sent waits for a connection.
        submit_timeout: Limit of a submit, in seconds.
        read_timeout: Limit of all else, in seconds.
        server: What is connected to, for messages.
        most_requests: How many requests go into a batch at most.

    Attributes:
        core: The state machine.
        on_held_up: Called while a long reply is on its way.
    """

    def __init__(
        self,
        open_link: Callable[[], Awaitable[Link]],
        *,
        connect_timeout: float,
        submit_timeout: float,
        read_timeout: float,
        server: str = "Redis",
        most_requests: int = 1_000_000,
    ) -> None:
        self._open_link = open_link
        self._connect_timeout = connect_timeout
        self._submit_timeout = submit_timeout
        self._read_timeout = read_timeout
        self.core = Core(
            self,
            server=server,
            connect_timeout=connect_timeout,
            silence=0.4 * min(submit_timeout, read_timeout),
            jitter=random.random,
            most_requests=most_requests,
        )
        self.on_held_up: Callable[[], None] = _do_nothing
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._link: Optional[Link] = None
        self._task: Optional[asyncio.Task[None]] = None
        self._timer: Optional[asyncio.TimerHandle] = None
        self._is_turn_awaited = False
        self._received = 0
        # Who has made the first call must not be kept alive, or be found, by what outlives it.
        self._context = contextvars.Context()

    # -- what callers ask for --------------------------------------------------------------------

    async def connect_once(self) -> None:
        """Make sure of a connection, with one attempt; more where the server is not ready yet.

        Raises:
            exceptions.ConnectionError: There is none to be had.
        """
        loop = self.running_loop()
        request = self._new_call(loop.create_future(), [(b"PING",)], self._connect_timeout)
        request.impatient = True
        self.ask(request)
        try:
            await request.future
        except exc.ServerError as error:
            raise exc.ConnectionError(str(error)) from error

    async def call(
        self, commands: Sequence[Command], size: int, timeout: Optional[float], *, writes: bool
    ) -> List[Reply]:
        """Run commands that may be run again, and return a reply for each."""
        loop = self.running_loop()
        limit = self._read_timeout if timeout is None else timeout
        request = self._new_call(loop.create_future(), commands, limit)
        request.size = size
        request.writes = writes
        self.ask(request)
        replies: List[Reply] = await request.future
        return replies

    def start(
        self,
        commands: Sequence[Command],
        then: Callable[[Optional[List[Reply]], Optional[BaseException]], None],
    ) -> None:
        """Run reads, and call ``then`` in the turn in which the replies, or an error, are here."""
        self.running_loop()
        self.ask(self._new_call(Callback(then), commands, self._read_timeout), at_once=True)

    def submit(
        self, entries: Sequence[Any], *, idempotent: bool
    ) -> asyncio.Future[Optional[NotQueued]]:
        """Queue entries once."""
        loop = asyncio._get_running_loop()
        if loop is None or loop is not self._loop:
            loop = self.running_loop()
        future: asyncio.Future[Optional[NotQueued]] = loop.create_future()
        self.ask(
            Submit(
                future,
                loop.time(),
                self._submit_timeout,
                self._connect_timeout,
                entries,
                idempotent,
            )
        )
        return future

    def settle(self, submit: Submit, facts: LinkFacts) -> None:
        """Find out what became of a submit that was sent elsewhere, and whose reply was lost."""
        loop = self.running_loop()
        self._tell(self.core.reply_lost, submit, facts, loop.time())

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
        return loop

    def _refuse_closed(self) -> None:
        if self.is_closed:
            raise exc.ClientClosedError("the client is closed; make a new one")

    def _new_call(
        self,
        future: Union[asyncio.Future[List[Reply]], Callback],
        commands: Sequence[Command],
        timeout: float,
    ) -> Call:
        assert self._loop is not None
        call = Call(future, self._loop.time(), timeout, self._connect_timeout, commands)
        # A look that may take a moment only is no reason to give a connection up.
        call.silence = max(call.silence, 0.4 * self._read_timeout)
        return call

    def ask(self, request: Request, *, at_once: bool = False) -> None:
        """Take a request in."""
        core = self.core
        self._refuse_closed()
        if core.state is State.CONNECTING:
            self._restart()
        assert self._loop is not None
        try:
            core.request(request, self._loop.time(), at_once=at_once)
        except Exception as error:
            self._on_defect(error)

    def send_now(self) -> None:
        """Send what waits, if nothing is on its way; others get no turn in which to join in."""
        if self.core.pending.waiting:
            self._is_turn_awaited = True
            self._on_turn()

    # -- the effects: see ``Effects`` ------------------------------------------------------------

    def connect(self) -> None:
        """Begin to make a connection."""
        assert self._loop is not None
        self._task = self._start_task(self._connect())

    def _start_task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._loop is not None
        create = self._loop.create_task
        return contextvars.Context().run(create, coroutine, name="bananas connect")

    def send(self, commands: List[Command]) -> None:
        """Write commands, and expect a reply to each."""
        link = self._link
        self._received = 0
        try:
            if link is None or link.is_dirty:
                raise LinkLost("it has a reply that nobody asked for, or was closed")
            link.send(commands)
            link.expect(len(commands), self._on_replies)
        except LinkLost as error:
            self._on_lost(error)

    def drop(self) -> None:
        """Drop the connection at once."""
        link, self._link = self._link, None
        if link is not None:
            link.on_lost = None
            link.report_progress(None)
            link.abort()

    def send_soon(self) -> None:
        """Send once all who are ready to run have had their turn."""
        if not self._is_turn_awaited:
            assert self._loop is not None
            self._is_turn_awaited = True
            self._loop.call_soon(self._on_turn, context=self._context)

    def wake_at(self, when: float) -> None:
        """Set the timer."""
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if when != float("inf"):
            self._timer = self._loop.call_at(when, self._on_timer, context=self._context)

    def unsent(self) -> int:
        """Return how many bytes the transport holds."""
        return 0 if self._link is None else self._link.unsent

    # -- the events ------------------------------------------------------------------------------

    def _tell(self, event: Callable[..., None], *args: object) -> None:
        """Tell the state machine; a defect of ours must end nobody's wait in silence."""
        try:
            event(*args)
        except Exception as error:
            self._on_defect(error)

    def _on_defect(self, error: Exception) -> None:
        _log.exception("internal error in the pipeline")
        assert self._loop is not None
        self.core.fail_all(exc.BananasError(f"internal error: {error!r}"), self._loop.time())

    def _on_turn(self) -> None:
        self._is_turn_awaited = False
        assert self._loop is not None
        self._tell(self.core.send_now, self._loop.time())

    def _on_timer(self) -> None:
        self._timer = None
        assert self._loop is not None
        if self.core.state is State.CONNECTING:
            self._restart()
        self._tell(self.core.time, self._loop.time())

    def _on_replies(self, replies: List[Reply]) -> None:
        assert self._loop is not None
        self._received = 0
        try:
            self.core.replies(replies, self._loop.time())
        except Exception as error:
            self._on_defect(error)

    def _on_progress(self, count: int) -> None:
        assert self._loop is not None
        self._received += count
        if self._received > LARGE:
            self.on_held_up()
        self.core.progress(count, self._loop.time())

    def _on_lost(self, reason: LinkLost) -> None:
        _log.debug("connection lost: %s", reason)
        assert self._loop is not None
        replies = () if self._link is None else self._link.unread
        self._tell(self.core.link_lost, self._loop.time(), replies)

    async def _connect(self) -> None:
        assert self._loop is not None
        failure: Optional[exc.ConnectionError] = None
        try:
            link = await self._open_link()
        except exc.ConnectionError as error:
            failure = error
        except asyncio.CancelledError:
            if self.core.state is State.CONNECTING:  # not closed: it was somebody else
                self._timer_no_later(_RESTART)
            raise
        except Exception as error:
            self._on_defect(error)
            return
        # Not inside the handler: who is told may raise, and the failure would be its context.
        if failure is not None:
            self._tell(self.core.link_failed, failure, self._loop.time(), _refusal(failure))
            return
        self._link = link
        link.on_lost = self._on_lost
        link.report_progress(self._on_progress)
        facts = LinkFacts(link.client_id, link.run_id, link.role, link.no_transactions)
        self._tell(self.core.link_up, facts, self._loop.time())

    def _timer_no_later(self, delay: float) -> None:
        assert self._loop is not None
        when = self._loop.time() + delay
        if self._timer is None or when < self._timer.when():
            self.wake_at(when)

    def _restart(self) -> None:
        """Connect again where the task that did was cancelled from outside."""
        if self._task is None or self._task.done():
            self.connect()

    # -- what it is like, and the end ------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._link is not None and not self._link.is_lost

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self.core.state is State.CLOSED

    @property
    def is_held_up(self) -> bool:
        """Whether a long reply is on its way, behind which all else would have to wait."""
        return self._received > LARGE

    async def close(self) -> None:
        """Drop the connection, and fail what is under way."""
        link, task = self._link, self._task
        self._task = None
        if self._loop is None:
            self.core.close(0.0)
            return
        self.core.close(self._loop.time())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            if task is not None:
                await cancel_and_wait(task)
        finally:
            if link is not None:
                await link.aclose()


def _foreign(loop: asyncio.AbstractEventLoop) -> str:
    if loop.is_closed():
        return (
            "this client belongs to another event loop, which has ended: close() the client before "
            "its asyncio.run ends, and make a new one in the next"
        )
    return "this client belongs to another event loop; make one client for each loop"


def _do_nothing() -> None:
    pass


def _refusal(failure: exc.ConnectionError) -> Optional[ReplyError]:
    """Return the server's reply that it is not ready yet, if that is why."""
    reply = getattr(failure.__cause__, "reply", None)
    return reply if isinstance(reply, ReplyError) else None
