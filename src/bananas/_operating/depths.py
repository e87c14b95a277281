"""Counts the jobs in each place."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Sequence, Set

from .. import exceptions as exc
from .._redis import Command
from .._wire import from_unix_time
from ..enums import JobPriority
from ..operating import QueueDepths
from .deployment import Deployment
from .listing import scan

__all__ = ["discover_routes", "read_depths", "visible_routes"]

#: The scheduler looks once a second: what is due for so long is overdue.
_GRACE = 2.0


async def read_depths(
    deployment: Deployment, routes: Sequence[Optional[str]], *, now: float
) -> QueueDepths:
    """Count the jobs of some routes, and of the places that all routes share, in one round trip.

    Args:
        deployment: Where to count.
        routes: The routes.
        now: The Unix time; what is overdue is counted by the clock of the caller.

    Raises:
        exceptions.ServerError: Redis refuses.
    """
    keys = deployment.keys
    commands: List[Command] = [(b"LLEN", key) for key in keys.all_ready(routes)]
    commands += [
        (b"ZCARD", keys.scheduled),
        (b"ZCOUNT", keys.scheduled, b"-inf", b"%.3f" % (now - _GRACE)),
        (b"ZRANGE", keys.scheduled, 0, 0, b"WITHSCORES"),
        (b"LLEN", keys.processing),
        (b"LLEN", keys.dead),
    ]
    counts = iter(await deployment.read(commands, "count the jobs"))
    queued: Dict[Optional[str], Dict[JobPriority, int]] = {
        route: {priority: next(counts) for priority in JobPriority} for route in routes
    }
    scheduled, overdue, first, processing, dead = counts
    next_due = from_unix_time(float(first[1])) if first else None
    return QueueDepths(queued, scheduled, overdue, next_due, processing, dead)


async def discover_routes(deployment: Deployment) -> List[str]:
    """Return the routes that have a list which is not empty, in their order.

    Raises:
        exceptions.ServerError: Redis refuses.
    """
    before, after = deployment.keys.route_pattern
    name = re.compile(re.escape(before) + rb"([A-Za-z0-9_-]{1,64})" + re.escape(after))
    pattern = _escaped(before) + b"*" + after + b"*"
    found: Set[str] = set()
    async for names in scan(deployment, pattern, b"TYPE", b"list", task="look for routes"):
        found.update(match[1].decode() for match in map(name.match, names) if match)
    return sorted(found)


async def visible_routes(deployment: Deployment) -> List[str]:
    """Return the same; none without the right to look."""
    try:
        return await discover_routes(deployment)
    except exc.ServerError:
        return []


def _escaped(text: bytes) -> bytes:
    """Return a pattern of Redis that matches the text itself."""
    return re.sub(rb"([*?\[\]\\^-])", rb"\\\1", text)
