"""One emulator's connection to Redis, made when first needed and again when it is lost."""

from __future__ import annotations

import asyncio
from typing import List, Optional, Sequence

from .. import exceptions as exc
from .._redis import Command, Link, LinkLost, Reply, ReplyError, Settings, connect
from .._types import Seconds

__all__ = ["Wire", "emulator_settings"]


def emulator_settings(
    redis_url: str,
    key_prefix: str,
    success_ttl: Seconds = 3600,
    failure_ttl: Seconds = 24 * 3600,
) -> Settings:
    """Check what an emulator is told, as a client does.

    Raises:
        ValueError: An argument is refused; the message says which.
    """
    return Settings.create(
        redis_url,
        success_ttl,
        failure_ttl,
        key_prefix=key_prefix,
        routing_key=None,
        connect_timeout=5.0,
        submit_timeout=10.0,
        read_timeout=10.0,
        ping_interval=5.0,
        safety_interval=2.0,
    )


class Wire:
    """Sends commands and returns their replies, one pipeline at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link: Optional[Link] = None
        self._lock: Optional[asyncio.Lock] = None

    async def call(self, *commands: Command) -> List[Reply]:
        """Send some commands as one pipeline, not as a transaction.

        Cancelling it costs the connection; the next call makes another.

        Raises:
            ConnectionError: Redis can't be reached, or the connection broke. What was sent may
                have been applied, as with a Go worker.
            ServerError: Redis refused a command; the others were applied.
        """
        # Made here: Python 3.8 and 3.9 bind a lock to the loop that is current when it is made.
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            replies = await self._exchange(commands)
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise exc.ServerError(f"Redis refuses: {reply}", code=reply.code)
        return replies

    async def _exchange(self, commands: Sequence[Command]) -> List[Reply]:
        link = self._link
        if link is None or link.is_dirty:
            await self.close()
            link = self._link = await connect(self._settings, Link)
        self._link = None  # until all replies are read, nobody may use it again
        try:
            link.send(commands)
            replies = await link.read_replies(len(commands))
        except LinkLost as lost:
            await link.aclose()
            raise exc.ConnectionError(
                f"the connection to Redis at {link.endpoint} broke: {lost}"
            ) from None
        except BaseException:
            link.abort()
            raise
        self._link = link
        return replies

    async def close(self) -> None:
        """Drop the connection."""
        link, self._link = self._link, None
        if link is not None:
            await link.aclose()
