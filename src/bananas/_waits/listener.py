"""Owns the one pub/sub connection of all waits."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Awaitable, Callable, List, Optional

from .. import exceptions as exc
from .._background_tasks import abandon, cancel_and_wait, cancel_task, start_task
from .._backoff import Backoff
from .._redis import Command, ConnectionLog, Link, LinkLost, Reply
from .._timer import Timer
from .._wire import Keys
from .channels import Channels
from .state_machine import StateMachine

__all__ = ["Listener"]

_log = logging.getLogger("bananas")
_DEFECT = {"bananas_event": "internal_error"}
_REFUSED = {"bananas_event": "notifications_refused"}

_FIRST_BACKOFF = 0.05
_LONGEST_BACKOFF = 2.0
# UNSUBSCRIBE is not urgent: it is sent with the next SUBSCRIBE, or after this many seconds.
_LINGER = 0.01


class Listener:
    """Keeps the channels of the awaited jobs subscribed, whatever happens to the connection.

    The owner task alone connects and drops. Notifications are handled in the turn of the loop in
    which they arrive. SUBSCRIBE is written for all channels of a turn at its end; UNSUBSCRIBE with
    the next of them, or shortly after; both only while the owner has a live connection.

    Args:
        open_link: Makes a connected link, or raises ``exceptions.ConnectionError``.
        keys: The names of the channels.
        machine: Is told what is confirmed, notified, lost and refused.
        ping_interval: Seconds of silence after which a link gets a PING; it is given up before
            twice this time.
    """

    def __init__(
        self,
        open_link: Callable[[], Awaitable[Link]],
        keys: Keys,
        machine: StateMachine,
        *,
        ping_interval: float,
    ) -> None:
        self._open_link = open_link
        self._machine = machine
        self._ping_interval = ping_interval
        self._channels = Channels(keys)
        self._link: Optional[Link] = None
        self._task: Optional[asyncio.Task[None]] = None
        self._connection_log = ConnectionLog("results")
        self._flush_timer = Timer(self._flush)
        self._backoff = Backoff(_FIRST_BACKOFF, _LONGEST_BACKOFF, random.random)
        self._beat = Timer(self._on_beat)
        self._last_read = 0.0
        self._pinged = False
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._closed = False
        self.connections: int = 0

    def subscribe(self, job_id: str) -> None:
        """Want the notifications of a job; connects when it has to."""
        is_subscribed = self._channels.want(job_id)
        if is_subscribed:
            self._machine.confirmed((job_id,))
        elif self._link is not None:
            self._flush_within(0.0)
        self.keep_going()

    def unsubscribe(self, job_id: str) -> None:
        """Want them no longer."""
        self._channels.unwant(job_id)
        if self._link is not None:
            self._flush_within(_LINGER)

    def keep_going(self) -> None:
        """Start the owner if there is none and something is wanted: it may have been cancelled."""
        if len(self._channels) and not self._closed and (self._task is None or self._task.done()):
            loop = asyncio.get_running_loop()
            self._task = start_task(loop, self._run(), "bananas listener")

    @property
    def is_connected(self) -> bool:
        """Whether there is a live connection."""
        return self._link is not None

    def silence(self) -> Optional[float]:
        """Seconds since the server was last heard of; None without a connection; on any thread."""
        if self._link is None or self._loop is None:
            return None
        return self._loop.time() - self._last_read

    def let_go(self) -> None:
        """Begin to close: the owner ends."""
        self._closed = True
        cancel_task(self._task)

    def shut_down(self) -> None:
        """End the connection on whichever thread; its loop does not run, and may never again."""
        if self._link is not None:
            self._link.shut_down()

    def abandon(self) -> None:
        """End the owner, whose loop is closed."""
        self._closed = True
        abandon(self._task)

    async def close(self) -> None:
        """End the owner and drop the connection."""
        self.let_go()
        task, self._task = self._task, None
        if task is not None:
            await cancel_and_wait(task)

    # -- the owner -------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Connect and listen for as long as anything is wanted, and then until the link is lost."""
        loop, backoff = asyncio.get_running_loop(), self._backoff
        self._loop = loop
        while len(self._channels) and not self._has_ended():
            link = await self._connect()
            if self._has_ended():
                if link is not None:
                    await link.aclose()
                return
            if link is None:
                await asyncio.sleep(backoff.next())
                continue
            began = loop.time()
            await self._serve(link)
            if loop.time() - began > 1:
                backoff.failures = 0
            elif backoff.failures or len(self._channels):
                # A server that accepts connections and drops them must not get too many.
                await asyncio.sleep(_FIRST_BACKOFF * (0.5 + random.random() / 2))
                backoff.failures = min(backoff.failures + 1, 5)

    def _has_ended(self) -> bool:
        # Below 3.11 a cancellation that comes with the end of a time limit gets lost in it.
        return self._closed

    async def _connect(self) -> Optional[Link]:
        """Return a link; None if none can be made now."""
        refusal: Optional[exc.ConnectionError] = None
        try:
            return await self._open_link()
        except exc.ConnectionError as error:
            self._connection_log.refused(error)
            refusal = error if error.permanent else None
        if refusal is not None:  # not in the handler: it would be the context of errors
            self._machine.refused(refusal)
        return None

    async def _serve(self, link: Link) -> None:
        """Listen until the link is lost, and then close it."""
        try:
            await self._listen(link)
        except LinkLost as error:
            self._connection_log.lost(link.endpoint, error)
        except Exception:  # a defect of ours must not end the owner
            _log.exception("internal error in the listener", extra=_DEFECT)
        finally:
            self._forget_link()
            await link.aclose()

    async def _listen(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        self.connections += 1
        self._connection_log.connected(link.endpoint, link.run_id)
        self._last_read = loop.time()
        self._pinged = False
        self._link = link
        self._channels.connected()
        self._flush_within(0.0)
        self._next_beat()
        await link.listen(self._arrived)

    def _arrived(self, replies: List[Reply]) -> None:
        self._last_read = asyncio.get_running_loop().time()
        self._pinged = False
        heard = self._channels.read(replies)
        if heard.refusal is not None:
            # For example without the right to subscribe: the periodic reads still find results.
            _log.warning("Redis refuses to notify of results: %s", heard.refusal, extra=_REFUSED)
        if heard.confirmed:
            self._machine.confirmed(heard.confirmed)
        if heard.notified:
            self._machine.notified(heard.notified)

    def _forget_link(self) -> None:
        self._link = None
        self._channels.lost()
        self._beat.cancel()
        self._flush_timer.cancel()
        self._machine.lost()

    # -- what is wanted, in batches --------------------------------------------------------------

    def _flush_within(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._flush_timer.set_sooner(loop, loop.time() + seconds)

    def _flush(self) -> None:
        if self._link is not None:
            commands = self._channels.take_changes()
            if commands:
                self._send(self._link, commands)

    @staticmethod
    def _send(link: Link, commands: List[Command]) -> None:
        try:
            link.send(commands)
        except LinkLost:
            pass  # the owner is told as well

    # -- pings -----------------------------------------------------------------------------------

    def _next_beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._beat.set(loop, loop.time() + self._ping_interval / 4)

    def _on_beat(self) -> None:
        link, silence = self._link, self.silence()
        if link is None or silence is None:
            return
        if self._pinged and silence >= 1.5 * self._ping_interval:
            _log.debug("listener: silent for %.1f s, giving the connection up", silence)
            link.abort()
            return
        if not self._pinged and silence >= 0.75 * self._ping_interval:
            self._pinged = True
            self._send(link, [(b"PING",)])
        self._next_beat()
