"""Counts the jobs in each place."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Dict, List, Optional, Sequence

from .. import exceptions as exc
from .._redis import Command, Reply, ReplyError
from .._wire import UTC, Keys
from ..enums import JobPriority
from ..operating import QueueDepths
from .connection import Runs

__all__ = ["discover_routes", "read_depths", "time_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The scheduler looks once a second: what is due for so long is overdue.
_GRACE = 2.0
_KEYS_A_STEP = 1000


async def read_depths(
    conn: Runs, keys: Keys, routes: Sequence[Optional[str]], *, now: float
) -> QueueDepths:
    """Count the jobs of some routes, and of the places that all routes share, in one round trip.

    Args:
        conn: Carries the commands.
        keys: The names of everything.
        routes: The routes.
        now: The Unix time; what is overdue is counted by the clock of the caller.

    Raises:
        ServerError: Redis refuses.
    """
    ready = keys.all_ready(routes)
    commands: List[Command] = [(b"LLEN", key) for key in ready]
    commands += [
        (b"ZCARD", keys.scheduled),
        (b"ZCOUNT", keys.scheduled, b"-inf", b"%.3f" % (now - _GRACE)),
        (b"ZRANGE", keys.scheduled, 0, 0, b"WITHSCORES"),
        (b"LLEN", keys.processing),
        (b"LLEN", keys.dead),
    ]
    replies = await conn.run(commands, again=True)
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise exc.ServerError(f"Redis refuses to count the jobs: {reply}", code=reply.code)
    counts = iter(replies)
    queued: Dict[Optional[str], Dict[JobPriority, int]] = {
        route: {priority: next(counts) for priority in JobPriority} for route in routes
    }
    scheduled, overdue, first, processing, dead = counts
    next_due = time_of(first[1]) if first else None
    return QueueDepths(queued, scheduled, overdue, next_due, processing, dead)


def time_of(score: Reply) -> Optional[datetime]:
    """Return the moment that a score stands for; None where it is no Unix time."""
    try:
        return _EPOCH + timedelta(seconds=float(score))
    except (ValueError, OverflowError):
        return None


async def discover_routes(conn: Runs, keys: Keys) -> List[str]:
    """Return the routes that have a list which is not empty, in their order.

    It goes through all keys in steps that each hold the server for less than a millisecond.

    Raises:
        ServerError: Redis refuses.
    """
    before, after = keys.route_pattern
    pattern = re.compile(re.escape(before) + rb"([A-Za-z0-9_-]{1,64})" + re.escape(after))
    found = set()
    cursor = b"0"
    match = _escaped(before) + b"*" + after + b"*"
    while True:
        command: Command = (
            b"SCAN", cursor, b"MATCH", match, b"COUNT", _KEYS_A_STEP, b"TYPE", b"list",
        )  # fmt: skip
        (reply,) = await conn.run([command], again=True)
        if isinstance(reply, ReplyError):
            raise exc.ServerError(
                f"Redis refuses to look for routes: {reply}; name the routes, or leave discover "
                "out",
                code=reply.code,
            )
        cursor, names = reply
        for name in names:
            route = pattern.match(name)
            if route is not None:
                found.add(route.group(1).decode())
        if cursor == b"0":
            return sorted(found)


def _escaped(text: bytes) -> bytes:
    """Return a pattern of Redis that matches the text itself."""
    return re.sub(rb"([*?\[\]\\^-])", rb"\\\1", text)
