"""The connection of operating calls, whose large pages must hold up no submit."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import random
from typing import AsyncIterator, Awaitable, Callable, Dict, List, Optional, Sequence

from .. import exceptions as exc
from .._background_tasks import abandon, cancel_and_wait, cancel_task, start_task
from .._backoff import Backoff
from .._fork_safety import OwnProcess, keep_forever
from .._redis import TRANSIENT, Argument, Command, Link, LinkLost, Reply, ReplyError

__all__ = ["HeldConnection", "OperatingConnection", "was_not_sent"]

# A connection that was used before may be dead and silent: it gets this share of the time.
_SHARE_OF_THE_FIRST = 0.4
# After this many idle seconds, a connection is tested with a PING before it carries a write.
_IDLE = 5.0
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class OperatingConnection:
    """One connection, opened by the first step, for one step at a time.

    A step that is cancelled, or whose reply does not come, costs the connection: a reply that
    arrives later can't be taken for that of another step. The next step makes a new one.

    Args:
        open_link: Makes a connected link, or raises ``exceptions.ConnectionError``.
        running_loop: Returns the running loop if it is the client's, and raises an error if not.
        connect_timeout: For how many seconds a step that was not sent waits for a connection.
        read_timeout: Seconds for a step, once there is a connection.
    """

    def __init__(
        self,
        open_link: Callable[[], Awaitable[Link]],
        *,
        running_loop: Callable[[], asyncio.AbstractEventLoop],
        connect_timeout: float,
        read_timeout: float,
    ) -> None:
        self._open_link = open_link
        self._running_loop = running_loop
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._is_closed = False
        self._process: Optional[OwnProcess] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._turn: Optional[asyncio.Lock] = None
        self._link: Optional[Link] = None
        self._used_at = 0.0
        self._task: Optional[asyncio.Task[Link]] = None
        self._replies: Optional[asyncio.Future[List[Reply]]] = None

    async def run(self, commands: Sequence[Command], *, again: bool = False) -> List[Reply]:
        """Run commands as one pipeline, and return a reply for each.

        Args:
            commands: What to run; MULTI and EXEC included if need be. WATCH needs ``exclusive``.
            again: Whether they may be run twice: then they are, once, on a new connection, where
                the first turns out to be dead.

        Returns:
            The replies; a refusal is a ``ReplyError`` among them.

        Raises:
            exceptions.ConnectionError: No connection can be had, and nothing was sent; or the
                connection was lost, which its attribute ``sent`` tells.
            exceptions.TimeoutError: It was sent, and no reply came in time.
            exceptions.ClientClosedError: The client was closed.

        Cancelling it leaves open whether what was sent is carried out.
        """
        if not commands:
            return []
        async with self._turns():
            link = await self._ready(probe=not again)
            is_used = self._used_at != 0.0
            share = _SHARE_OF_THE_FIRST if again and is_used else 1.0
            try:
                return await self._exchange(link, commands, share * self._read_timeout)
            except (exc.ConnectionError, exc.TimeoutError):
                if not again:
                    raise
            return await self._exchange(await self._ready(), commands, self._read_timeout)

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[HeldConnection]:
        """Hold the connection for several steps, such as WATCH, reads, and MULTI to EXEC.

        The first step may make a new connection, no later one does: what was watched is lost with
        the connection, and the step raises ``exceptions.ConnectionError``. Whatever is still
        watched at the end is not watched any more.
        """
        async with self._turns():
            link = await self._ready(probe=True)
            held = HeldConnection(functools.partial(self._exchange, link, limit=self._read_timeout))
            try:
                yield held
            except BaseException:
                if held.leaves is not Leaves.NOTHING:
                    self._drop(link)
                raise
            if held.leaves is Leaves.WATCHES:
                await held.run([(b"UNWATCH",)])
            elif held.leaves is Leaves.A_TRANSACTION:
                self._drop(link)

    # -- one step --------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _turns(self) -> AsyncIterator[None]:
        """Wait for the steps of others, in the order in which they came."""
        self._refuse_closed()
        self._loop = self._running_loop()
        if not self._is_ours():
            self._inherit_nothing()
        if self._turn is None:
            self._turn = asyncio.Lock()
        async with self._turn:
            self._refuse_closed()
            yield

    def _is_ours(self) -> bool:
        """Return whether it has been used in this process."""
        return self._process is not None and self._process.is_current()

    def _inherit_nothing(self) -> None:
        """Begin anew in a forked child: the connection is the parent's, and so are its steps."""
        keep_forever((self._link, self._task, self._replies, self._turn))
        self._link = self._task = self._replies = self._turn = None
        self._process = OwnProcess()

    async def _exchange(self, link: Link, commands: Sequence[Command], limit: float) -> List[Reply]:
        """Send commands and return their replies; a failure of whatever kind costs the link."""
        self._refuse_closed()
        assert self._loop is not None
        replies: asyncio.Future[List[Reply]] = self._loop.create_future()
        try:
            link.send(commands)
            self._replies = replies
            link.on_lost = functools.partial(_fail, replies)
            link.expect(len(commands), functools.partial(_arrive, replies))
            # A timer, since below 3.11 a cancellation may get lost in the end of a time limit.
            timer = self._loop.call_later(limit, _expire, replies, limit)
            try:
                found = await replies
            finally:
                timer.cancel()
        except LinkLost as error:
            self._drop(link)
            raise exc.ConnectionError(
                f"the connection to Redis was lost before it answered: {error}", sent=True
            ) from error
        except BaseException:
            self._drop(link)
            raise
        finally:
            self._replies = None
        self._used_at = self._loop.time()
        if any(isinstance(one, ReplyError) and one.reason.code in TRANSIENT for one in found):
            self._drop(link)  # the next step asks where the primary is
        return found

    # -- the link --------------------------------------------------------------------------------

    async def _ready(self, *, probe: bool = False) -> Link:
        """Return a link to the primary, a new one if need be."""
        assert self._loop is not None
        link = self._link
        if link is not None and link.is_dirty:
            self._drop(link)
        elif link is not None and probe and self._loop.time() - self._used_at > _IDLE:
            with contextlib.suppress(exc.ConnectionError, exc.TimeoutError):
                await self._exchange(link, [(b"PING",)], _SHARE_OF_THE_FIRST * self._read_timeout)
        if self._link is None:
            self._link = await self._open()
            self._used_at = 0.0
        return self._link

    async def _open(self) -> Link:
        """Make a link in a task of its own, which ends when the client is closed."""
        assert self._loop is not None
        task = self._task = start_task(self._loop, self._connect(), "bananas operating")
        try:
            await asyncio.wait([task])
        except BaseException:
            await cancel_and_wait(task)
            if not task.cancelled() and task.exception() is None:
                task.result().abort()
            raise
        finally:
            self._task = None
        if task.cancelled():
            self._refuse_closed()
            raise exc.ConnectionError("the attempt to connect was cancelled")
        link = task.result()
        if self._is_closed:
            link.abort()
            self._refuse_closed()
        return link

    async def _connect(self) -> Link:
        """Try to connect until it is done, or ``connect_timeout`` is over."""
        assert self._loop is not None
        deadline = self._loop.time() + self._connect_timeout
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, random.random)
        while True:
            try:
                return await self._connect_once()
            except exc.ConnectionError as error:
                pause = backoff.next()
                if error.permanent or self._loop.time() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)

    async def _connect_once(self) -> Link:
        link = await self._open_link()
        if link.role in (None, "master"):
            return link
        await link.aclose()
        raise exc.ConnectionError(
            f"Redis at {link.endpoint} is a replica: connect to the primary, or use from_sentinel()"
        )

    def _drop(self, link: Link) -> None:
        link.on_lost = None
        link.abort()
        if self._link is link:
            self._link = None

    # -- the end ---------------------------------------------------------------------------------

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise exc.ClientClosedError("the client is closed; make a new one")

    def let_go(self) -> None:
        """Begin to close: nothing new is taken, and the step that is under way fails."""
        loop = self._loop
        self._is_closed = True
        if loop is None or not self._is_ours():
            return
        if loop.is_running() and asyncio._get_running_loop() is not loop:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(self._end)
        else:
            self._end()

    def _end(self) -> None:
        replies, link = self._replies, self._link
        if replies is not None and not replies.done() and not replies.get_loop().is_closed():
            replies.set_exception(
                exc.ClientClosedError(
                    "the client was closed during the call, which may have been carried out"
                )
            )
        cancel_task(self._task)
        if link is not None:
            self._drop(link)

    async def close(self) -> None:
        """Drop the connection, and fail the step that is under way."""
        link, task = self._link, self._task
        self.let_go()
        if not self._is_ours():
            return
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
        self._is_closed = True
        if self._link is not None:
            self._drop(self._link)
        abandon(self._task)


class Leaves(enum.Enum):
    """What steps leave behind on a connection."""

    NOTHING = enum.auto()
    WATCHES = enum.auto()
    A_TRANSACTION = enum.auto()


_BEGINS: Dict[Argument, Leaves] = {b"WATCH": Leaves.WATCHES, b"MULTI": Leaves.A_TRANSACTION}
_ENDS = (b"EXEC", b"UNWATCH", b"DISCARD")


class HeldConnection:
    """The connection for several steps in a row, none of anybody else's in between.

    Args:
        exchange: Runs one step.

    Attributes:
        leaves: What the steps have left behind so far.
    """

    def __init__(self, exchange: Callable[[Sequence[Command]], Awaitable[List[Reply]]]) -> None:
        self._exchange = exchange
        self.leaves = Leaves.NOTHING

    async def run(self, commands: Sequence[Command]) -> List[Reply]:
        """Run commands as one pipeline.

        Raises:
            exceptions.ConnectionError: The connection was lost, now or before.
            exceptions.TimeoutError: No reply came in time.
        """
        for command in commands:
            self.leaves = _BEGINS.get(command[0], self.leaves)
        replies = await self._exchange(commands)
        for command, reply in zip(commands, replies):
            # A DISCARD that is refused leaves the transaction open; an EXEC ends it in any case.
            is_refused = command[0] == b"DISCARD" and isinstance(reply, ReplyError)
            if command[0] in _ENDS and not is_refused:
                self.leaves = Leaves.NOTHING
        return replies


def was_not_sent(error: exc.BananasError) -> bool:
    """Whether a step failed before anything of it was sent."""
    return isinstance(error, exc.ConnectionError) and not error.sent


def _arrive(replies: asyncio.Future[List[Reply]], found: List[Reply]) -> None:
    if not replies.done():
        replies.set_result(found)


def _fail(replies: asyncio.Future[List[Reply]], reason: LinkLost) -> None:
    if not replies.done():
        replies.set_exception(reason)


def _expire(replies: asyncio.Future[List[Reply]], limit: float) -> None:
    if not replies.done():
        replies.set_exception(exc.TimeoutError(f"Redis did not answer within {limit:g} s"))
