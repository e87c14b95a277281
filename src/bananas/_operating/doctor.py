"""Doctor: what the public methods of a client hand audits and their repairs to."""

from __future__ import annotations

from asyncio import sleep
from typing import Awaitable, Callable, Iterable, List, Optional, Set

from .._argument_checks import (
    check_callable,
    check_iterable,
    check_routing_keys,
    check_seconds,
    kind_of,
    shown,
)
from .._types import Seconds
from ..repairs import AuditReport, RepairCounts
from .audit_repairs import Mending
from .auditing import Audit
from .deployment import Deployment
from .depths import visible_routes
from .id_places import Place, all_places
from .requeue_routes import Routes

__all__ = ["Doctor"]

# A job that moves, or that its worker is finishing, is in no list for a shorter time than this.
_SHORTEST_OBSERVATION = 10.0


class Doctor:
    """Audits and repairs the deployment of one client.

    Args:
        deployment: What it looks at.

    Attributes:
        pause: Waits between two looks.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
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
        check_callable(progress, "progress")
        return await Audit(
            self._deployment,
            await self._places(check_routing_keys(routing_keys)),
            observe=seconds,
            taken_for=check_seconds(taken_for, "taken_for"),
            pause=self.pause,
            progress=progress,
        ).run()

    async def _places(self, routing_keys: List[Optional[str]]) -> List[Place]:
        """Return all places, with the lists of routes that are given, the client's, or found."""
        found = await visible_routes(self._deployment)
        routes = [None, self._deployment.routing_key, *routing_keys, *found]
        return all_places(self._deployment.keys, list(dict.fromkeys(routes)))

    async def repair(
        self,
        report: AuditReport,
        kinds: Optional[Iterable[str]],
        routes: Optional[str],
        progress: Optional[Callable[[RepairCounts], None]],
    ) -> RepairCounts:
        """Carry out what a report plans."""
        if not isinstance(report, AuditReport):
            raise ValueError(f"report must be the report of doctor(), not {kind_of(report)}")
        known = {finding.kind for finding in report.findings if finding.repair}
        wanted: Set[str] = {finding.kind for finding in report.plan}
        if kinds is not None:
            if isinstance(kinds, (str, bytes)):
                raise ValueError("kinds must be a list of kinds, not one: write [kind]")
            check_iterable(kinds, "kinds", "kinds of findings")
            wanted = set(kinds)
            for kind in sorted(wanted - known, key=str):
                raise ValueError(f"the report has no finding of the kind {shown(kind)} to repair")
        mending = Mending(
            self._deployment,
            await self._places([]),
            Routes(self._deployment, routes),
            check_callable(progress, "progress"),
        )
        return await mending.run(report, wanted)
