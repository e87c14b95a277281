"""One pub/sub connection for all waits, with one owner task."""

from __future__ import annotations

import asyncio
import logging
import random
from contextvars import Context
from typing import Awaitable, Callable, Dict, List, Optional, Sequence, Set

from . import exceptions as exc
from ._keys import Keys
from ._outage import Outage
from ._protocol import LinkLost, Reply, ReplyError
from ._redis import Command, Link
from ._tasks import abandon, cancel_and_wait, cancel_task, start_task

__all__ = ["Listener"]

_log = logging.getLogger("bananas")

_CHANNELS_PER_COMMAND = 1000
_FIRST_BACKOFF = 0.05
_LONGEST_BACKOFF = 2.0
# UNSUBSCRIBE is in no hurry: it goes out with the next SUBSCRIBE, or after so many seconds.
_LINGER = 0.01


class Listener:
    """Keeps the channels of the awaited jobs subscribed, whatever happens to the connection.

    The owner task alone connects and drops. Notifications are handled in the turn of the loop in
    which they arrive. SUBSCRIBE is written for all channels of a turn at its end; UNSUBSCRIBE with
    the next of them, or shortly after; both only while the owner has a live connection.

    Args:
        open_link: Makes a connected link, or raises ``exceptions.ConnectionError``.
        keys: The names of the channels.
        on_news: Called with the ids of jobs whose results are to be read: one was stored, or from
            now on nothing that is published on the job's channel can be missed. The latter comes
            again after every reconnect.
        on_refused: Called when connecting is pointless.
        ping_interval: A link that was silent for this long is asked for a sign of life, and given
            up before it has been silent for two.
    """

    def __init__(
        self,
        open_link: Callable[[], Awaitable[Link]],
        keys: Keys,
        *,
        on_news: Callable[[Sequence[str]], None],
        on_refused: Callable[[exc.ConnectionError], None],
        ping_interval: float,
    ) -> None:
        self._open_link = open_link
        self._keys = keys
        self._on_news = on_news
        self._on_refused = on_refused
        self._ping_interval = ping_interval
        self._wanted: Dict[bytes, str] = {}  # channels, and the jobs that they are about
        self._sent: Set[bytes] = set()
        self._unconfirmed: Dict[bytes, int] = {}
        self._changed: Dict[bytes, None] = {}
        self._link: Optional[Link] = None
        self._task: Optional[asyncio.Task[None]] = None
        self._outage = Outage("results")
        self._flushing = False
        self._linger: Optional[asyncio.TimerHandle] = None
        self._wake: Optional[asyncio.Future[None]] = None
        self._beat: Optional[asyncio.TimerHandle] = None
        self._last_read = 0.0
        self._pinged = False
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._closed = False
        self.connections: int = 0

    def subscribe(self, job_id: str) -> None:
        """Want the notifications of a job; connects when it has to."""
        channel = self._keys.channel(job_id)
        self._wanted[channel] = job_id
        if self._link is not None:
            self._changed[channel] = None
            self._flush_soon()
        if channel in self._sent and channel not in self._unconfirmed:
            self._on_news((job_id,))
        if self._task is None or self._task.done():  # cancelled from outside, say
            self._wake = None
            loop = asyncio.get_running_loop()
            self._task = start_task(loop, self._run(), "bananas listener")
        elif self._wake is not None:
            if not self._wake.done():
                self._wake.set_result(None)
            self._wake = None

    def unsubscribe(self, job_id: str) -> None:
        """Want them no longer."""
        channel = self._keys.channel(job_id)
        self._wanted.pop(channel, None)
        if self._link is not None:
            self._changed[channel] = None
            if self._linger is None:
                self._linger = asyncio.get_running_loop().call_later(
                    _LINGER, self._flush_rest, context=Context()
                )

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
        loop = self._loop = asyncio.get_running_loop()
        failures = 0
        while not self._has_ended():
            if not self._wanted:
                self._wake = loop.create_future()
                await self._wake
            link: Optional[Link] = None
            refusal: Optional[exc.ConnectionError] = None
            try:
                link = await self._open_link()
            except exc.ConnectionError as error:
                self._outage.refused(error)
                refusal = error if error.permanent else None
            if self._has_ended():
                if link is not None:
                    await link.aclose()
                return
            if link is None:
                if refusal is not None:  # not in the handler: it would be the context of errors
                    self._on_refused(refusal)
                longest = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2**failures)
                failures = min(failures + 1, 10)
                await asyncio.sleep(longest * (0.5 + random.random() / 2))
                continue
            began = loop.time()
            try:
                await self._listen(link)
            except LinkLost as error:
                self._outage.lost(link.endpoint, error)
            except Exception:  # a defect of ours must not end the owner
                _log.exception("internal error in the listener")
            finally:
                self._forget_link()
                await link.aclose()
            if loop.time() - began > 1:
                failures = 0
            elif failures or self._wanted:
                # A server that takes connections and drops them is not to be hammered.
                await asyncio.sleep(_FIRST_BACKOFF * (0.5 + random.random() / 2))
                failures = min(failures + 1, 5)

    def _has_ended(self) -> bool:
        # Below 3.11 a cancellation that comes with the end of a time limit gets lost in it.
        return self._closed

    async def _listen(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        self.connections += 1
        self._outage.ended(link.endpoint, link.run_id)
        self._last_read = loop.time()
        self._pinged = False
        self._link = link
        self._changed = dict.fromkeys(self._wanted)
        self._flush_soon()
        self._next_beat(loop)
        await link.listen(self._arrived)

    def _arrived(self, replies: List[Reply]) -> None:
        news: List[str] = []
        for reply in replies:
            if reply.__class__ is list and len(reply) == 3:  # else it is a pong
                job_id = self._news_of(reply[0], reply[1])
                if job_id is not None:
                    news.append(job_id)
            elif isinstance(reply, ReplyError):
                # No right to subscribe, say: the waits go on with the periodic reads.
                _log.warning("Redis refuses to notify of results: %s", reply)
                refused, self._unconfirmed = self._unconfirmed, {}
                news.extend(self._wanted[channel] for channel in refused if channel in self._wanted)
        if news:
            self._on_news(news)
        self._last_read = asyncio.get_running_loop().time()
        self._pinged = False

    def _forget_link(self) -> None:
        """Nothing is subscribed on the next connection, and only what is wanted will be."""
        self._link = None
        self._sent.clear()
        self._unconfirmed.clear()
        self._changed.clear()
        for timer in (self._beat, self._linger):
            if timer is not None:
                timer.cancel()
        self._beat = self._linger = None

    def _news_of(self, kind: Reply, channel: Reply) -> Optional[str]:
        """Return the job that a notification or confirmation makes worth a look, if it does."""
        if channel.__class__ is not bytes:
            return None
        if kind == b"message" or (kind == b"subscribe" and self._confirmed(channel)):
            return self._wanted.get(channel)
        return None

    def _confirmed(self, channel: bytes) -> bool:
        """Count a confirmation; only the latest SUBSCRIBE's means that nothing can be missed."""
        left = self._unconfirmed.get(channel, 1) - 1
        if left:
            self._unconfirmed[channel] = left
            return False
        self._unconfirmed.pop(channel, None)
        return True

    # -- what is wanted, in batches --------------------------------------------------------------

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush, context=Context())

    def _flush_rest(self) -> None:
        self._linger = None
        self._flush()

    def _flush(self) -> None:
        self._flushing = False
        if self._changed and self._link is not None:
            commands = self._take_changes()
            if commands:
                self._send(self._link, commands)

    @staticmethod
    def _send(link: Link, commands: List[Command]) -> None:
        try:
            link.send(commands)
        except LinkLost:
            pass  # the owner is told as well

    def _take_changes(self) -> List[Command]:
        changed, self._changed = self._changed, {}
        add: List[bytes] = []
        remove: List[bytes] = []
        for channel in changed:
            if channel in self._wanted:
                if channel not in self._sent:
                    self._sent.add(channel)
                    self._unconfirmed[channel] = self._unconfirmed.get(channel, 0) + 1
                    add.append(channel)
            elif channel in self._sent:
                self._sent.discard(channel)
                remove.append(channel)
        return [
            (verb, *channels[start : start + _CHANNELS_PER_COMMAND])
            for verb, channels in ((b"UNSUBSCRIBE", remove), (b"SUBSCRIBE", add))
            for start in range(0, len(channels), _CHANNELS_PER_COMMAND)
        ]

    # -- signs of life ---------------------------------------------------------------------------

    def _next_beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beat = loop.call_later(
            self._ping_interval / 4, self._on_beat, loop, context=Context()
        )

    def _on_beat(self, loop: asyncio.AbstractEventLoop) -> None:
        link = self._link
        if link is None:
            return
        silence = loop.time() - self._last_read
        if self._pinged and silence >= 1.5 * self._ping_interval:
            _log.debug("listener: silent for %.1f s, giving the connection up", silence)
            link.abort()
            return
        if not self._pinged and silence >= 0.75 * self._ping_interval:
            self._pinged = True
            self._send(link, [(b"PING",)])
        self._next_beat(loop)
