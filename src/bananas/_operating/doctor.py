"""Doctor: what the public methods of a client hand audits and their repairs to."""

from __future__ import annotations

import contextlib
from asyncio import sleep
from typing import Awaitable, Callable, Iterable, List, Optional, Set

from .. import exceptions as exc
from .._argument_checks import (
    check_callable,
    check_iterable,
    check_routing_key,
    check_seconds,
    kind_of,
    shown,
)
from .._types import Seconds
from .._wire import Keys
from ..repairs import AuditReport, RepairCounts
from .audit_repairs import Mending
from .auditing import Audit
from .connection import OperatingConnection
from .depths import discover_routes
from .id_places import Place, all_places
from .requeue_routes import Routes

__all__ = ["Doctor"]

# A job that moves, or whose worker is about to end it, stands nowhere for less than this.
_SHORTEST_OBSERVATION = 10.0


class Doctor:
    """Audits and repairs the deployment of one client.

    Args:
        connection: Carries the commands.
        keys: The names of everything.
        routing_key: The client's own route; None for the flat lists.
        failure_ttl: Seconds that a failed result is kept.

    Attributes:
        pause: Waits between two looks.
    """

    def __init__(
        self,
        connection: OperatingConnection,
        keys: Keys,
        *,
        routing_key: Optional[str],
        failure_ttl: int,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._routing_key = routing_key
        self._failure_ttl = failure_ttl
        self.pause: Callable[[float], Awaitable[object]] = sleep

    async def audit(
        self,
        routing_keys: Iterable[Optional[str]],
        *,
        observe: Seconds,
        taken_for: Seconds,
        progress: Optional[Callable[[str], None]],
    ) -> AuditReport:
        """Look for what is amiss."""
        seconds = check_seconds(observe, "observe")
        if 0 < seconds < _SHORTEST_OBSERVATION:
            raise ValueError(
                f"observe must be 0, or {_SHORTEST_OBSERVATION:g} seconds or more, not {seconds:g}"
            )
        check = check_callable(progress, "progress")
        return await Audit(
            self._connection,
            self._keys,
            await self._places(_checked(routing_keys)),
            observe=seconds,
            taken_for=check_seconds(taken_for, "taken_for"),
            pause=self.pause,
            progress=check,
        ).run()

    async def _places(self, routing_keys: List[Optional[str]]) -> List[Place]:
        """Return all places, with the lists of routes that are given, the client's, or found."""
        found: List[str] = []
        with contextlib.suppress(exc.ServerError):  # without the right to look, those known are all
            found = await discover_routes(self._connection, self._keys)
        routes = [None, self._routing_key, *routing_keys, *found]
        return all_places(self._keys, list(dict.fromkeys(routes)))

    async def repair(
        self,
        report: AuditReport,
        kinds: Optional[Iterable[str]],
        routes: Optional[str],
        progress: Optional[Callable[[RepairCounts], None]],
    ) -> RepairCounts:
        """Carry out what a report plans."""
        if not isinstance(report, AuditReport):
            raise ValueError(f"report must be what doctor() returned, not {kind_of(report)}")
        known = {finding.kind for finding in report.findings if finding.repair}
        wanted: Set[str] = {finding.kind for finding in report.plan}
        if kinds is not None:
            if isinstance(kinds, (str, bytes)):
                raise ValueError("kinds must be a list of kinds, not one: write [kind]")
            check_iterable(kinds, "kinds", "kinds of findings")
            wanted = set(kinds)
            for kind in sorted(wanted - known, key=str):
                raise ValueError(f"the report has nothing of the kind {shown(kind)} to repair")
        mending = Mending(
            self._connection,
            self._keys,
            await self._places([]),
            Routes(self._keys, self._routing_key, routes),
            failure_ttl=self._failure_ttl,
            progress=check_callable(progress, "progress"),
        )
        return await mending.run(report, wanted)


def _checked(routing_keys: Iterable[Optional[str]]) -> List[Optional[str]]:
    if isinstance(routing_keys, (str, bytes)):
        raise ValueError("routing_keys must be a list of routing keys, not one: write [key]")
    check_iterable(routing_keys, "routing_keys", "routing key")
    return [
        check_routing_key(key, f"routing_keys[{index}]") for index, key in enumerate(routing_keys)
    ]
