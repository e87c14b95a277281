"""Liveness and readiness of a client, with reasons, for the probes of a service."""

from __future__ import annotations

import asyncio
import builtins
from dataclasses import asdict, dataclass
from typing import Any, Coroutine, Dict, List, Optional, Tuple, Union, overload

from . import exceptions as exc
from ._argument_checks import check_timeout
from ._types import Seconds
from .client import AsyncClient, ClientStats
from .sync import Client

__all__ = ["Health", "liveness", "readiness"]

#: The listener replaces a connection before it has been silent for two intervals.
_INTERVALS = 4


@dataclass(frozen=True)
class Health:
    """The answer to a probe.

    Attributes:
        ok: Whether the client is healthy.
        reasons: Why it is not healthy, as short texts without a password; empty if it is.
        stats: The counters and states of the client; None if the client is closed.
    """

    ok: bool
    reasons: Tuple[str, ...] = ()
    stats: Optional[ClientStats] = None

    @property
    def http_status(self) -> int:
        """The status of an HTTP answer: 200, or 503."""
        return 200 if self.ok else 503

    def to_dict(self) -> Dict[str, Any]:
        """Return this as JSON values."""
        return {
            "status": "ok" if self.ok else "failing",
            "reasons": list(self.reasons),
            "stats": None if self.stats is None else asdict(self.stats),
        }


def liveness(client: Union[AsyncClient, Client]) -> Health:
    """Check that a client can still work; if it can't, restart the process.

    It does no I/O. It does not fail if Redis can't be reached, because the client reconnects by
    itself.

    Args:
        client: A ``Client`` or an ``AsyncClient``. Call it for an ``AsyncClient`` in the thread of
            its event loop.

    Returns:
        A ``Health`` that is not ``ok`` if the client is closed, or its event loop has ended or is
        blocked for a long time.
    """
    try:
        _refuse_closed(client)
        stats = client._connections.stats() if isinstance(client, Client) else client.stats()
    except exc.ClientClosedError as error:
        return Health(False, (str(error),))
    reasons = _stuck(client, stats)
    return Health(not reasons, tuple(reasons), stats)


@overload
def readiness(client: Client, timeout: Seconds = ...) -> Health: ...


@overload
def readiness(client: AsyncClient, timeout: Seconds = ...) -> Coroutine[Any, Any, Health]: ...


def readiness(
    client: Union[AsyncClient, Client], timeout: Seconds = 2.0
) -> Union[Health, Coroutine[Any, Any, Health]]:
    """Check that a client can submit and read now; it asks Redis, in one round trip.

    It connects if there is no connection. Await it for an ``AsyncClient``; for a ``Client`` it
    blocks.

    Args:
        client: A ``Client`` or an ``AsyncClient``.
        timeout: Limit in seconds, or a timedelta. It must be less than the limit of the probe.

    Returns:
        A ``Health`` that is not ``ok`` if Redis can't be reached, refuses, is not a primary or does
        not answer in time, or if ``liveness`` fails.

    Raises:
        ValueError: ``timeout`` is not valid.
        RuntimeError: You called it for a ``Client`` in a thread with a running event loop.
    """
    limit = check_timeout(timeout)
    if not isinstance(client, Client):
        return _ready(client, limit)
    reasons: List[str] = []
    try:
        reasons += client._run(lambda inner: _unreachable(inner, limit))
    except exc.BananasError as error:
        reasons.append(str(error))
    return _with_liveness(client, reasons)


async def _ready(client: AsyncClient, limit: Optional[float]) -> Health:
    alive = liveness(client)
    if not alive.ok:
        return alive
    return _with_liveness(client, await _unreachable(client, limit))


def _with_liveness(client: Union[AsyncClient, Client], reasons: List[str]) -> Health:
    alive = liveness(client)
    found = tuple(dict.fromkeys((*alive.reasons, *reasons)))
    return Health(not found, found, alive.stats)


async def _unreachable(client: AsyncClient, limit: Optional[float]) -> List[str]:
    """Return why Redis can't be used, if it can't."""
    try:
        await asyncio.wait_for(client.connect(), limit)
    except exc.BananasError as error:
        return [str(error)]
    except (asyncio.TimeoutError, builtins.TimeoutError):
        return [f"Redis has not answered within {limit:g} s"]
    return []


def _refuse_closed(client: Union[AsyncClient, Client]) -> None:
    if isinstance(client, Client):
        client._connections.refuse_closed()
    else:
        client._queue._pipeline.refuse_closed()


def _stuck(client: Union[AsyncClient, Client], stats: ClientStats) -> List[str]:
    """Return why the client can't go on, as far as can be seen without asking anybody."""
    if isinstance(client, Client):
        settings, loop = client._connections.here.client._settings, None
    else:
        settings, loop = client._settings, getattr(client._queue._pipeline, "loop", None)
    if loop is not None and loop.is_closed():
        return ["the client's event loop has ended; make a new client in the next one"]
    silence = stats.last_pong_age
    if silence is not None and silence > _INTERVALS * settings.ping_interval:
        return [f"the listener has not run for {silence:.0f} s: the event loop is blocked"]
    return []
