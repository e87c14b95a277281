"""OperatingReads: what the public methods of a client hand their operating calls to."""

from __future__ import annotations

import time
from typing import Iterable, List, Optional, Sequence, Union

from .. import exceptions as exc
from .._argument_checks import (
    check_limit,
    check_routing_key,
    check_routing_keys,
    check_seconds,
    shown,
)
from .._types import NOT_GIVEN, NotGiven, Seconds
from ..enums import JobPriority, Priority, check_priority
from ..location import JobPlace
from ..operating import Explanation, JobEntry, QueueDepths
from .dead_letters import LetterFilter
from .deployment import Deployment
from .depths import discover_routes, read_depths
from .explaining import explain
from .listed_jobs import ListedJobs
from .listing import ListPages, Pages, SetPages

__all__ = ["OperatingReads"]


# Routes that were found are kept for so many seconds: a list that is empty has no key.
_ROUTES_KEPT = 60.0
_SHORTEST_OBSERVATION = 6.0
_LISTED = (
    JobPlace.QUEUED,
    JobPlace.SCHEDULED,
    JobPlace.RETRYING,
    JobPlace.TAKEN,
    JobPlace.DEAD,
)


class OperatingReads:
    """Carries out the calls that inspect and explain.

    Args:
        deployment: Where to read.
        life: The client's, which a listing must not outlive.
    """

    def __init__(self, deployment: Deployment, life: object) -> None:
        self._deployment = deployment
        self._life = life
        self._discovered: List[str] = []
        self._discovered_at = 0.0

    async def depths(
        self, routing_keys: Iterable[Optional[str]], *, discover: bool = False
    ) -> QueueDepths:
        """Count the jobs of the client's own route, of those given, and of those found."""
        routes = [self._deployment.routing_key, *check_routing_keys(routing_keys)]
        if discover:
            routes += [None, *await self._routes()]
        return await read_depths(self._deployment, list(dict.fromkeys(routes)), now=time.time())

    async def _routes(self) -> List[str]:
        """Look for the routes that have jobs, and add those that were found a moment ago."""
        now = time.monotonic()
        try:
            found = await discover_routes(self._deployment)
        except exc.ServerError as error:
            raise exc.ServerError(
                f"{error}; pass the routes, without discover", code=error.code
            ) from error
        if now - self._discovered_at < _ROUTES_KEPT:
            found = sorted({*found, *self._discovered})
        self._discovered, self._discovered_at = found, now
        return found

    async def explain(self, job_id: str, observe: Seconds) -> Explanation:
        """Explain where a job is, and why it does not run."""
        if not isinstance(job_id, str):
            raise ValueError(f"job_id must be a string, not {shown(job_id)}")
        seconds = check_seconds(observe, "observe")
        if 0 < seconds < _SHORTEST_OBSERVATION:
            raise ValueError(
                f"observe must be 0, or {_SHORTEST_OBSERVATION:g} seconds or more, not "
                f"{seconds:g}: an idle worker may need 5 s to take its next job"
            )
        return await explain(self._deployment, job_id, seconds)

    def jobs(
        self,
        place: Union[JobPlace, str],
        *,
        routing_key: Union[str, None, NotGiven],
        priority: Optional[Priority],
        limit: Optional[int],
    ) -> ListedJobs:
        """Return an iterator over the jobs of a place."""
        place = _listed_place(place)
        if place is not JobPlace.QUEUED:
            for name, value in (("routing_key", routing_key), ("priority", priority)):
                if value is not NOT_GIVEN and value is not None:
                    raise ValueError(f"{name} is for queued jobs: all others share one list")
        limit = check_limit(limit)
        route = self._deployment.routing_key
        if not isinstance(routing_key, NotGiven):
            route = check_routing_key(routing_key)
        priorities = list(JobPriority) if priority is None else [check_priority(priority)]
        sources = self._sources(place, route, priorities)
        return ListedJobs(self._deployment, place, sources, limit, self._life)

    def dead_letters(self, wanted: LetterFilter, limit: Optional[int]) -> ListedJobs:
        """Return an iterator over the dead letters that are meant."""

        def is_wanted(entry: JobEntry) -> bool:
            return entry.job is not None and wanted.matches(entry.job)

        return ListedJobs(
            self._deployment,
            JobPlace.DEAD,
            self._sources(JobPlace.DEAD, None, ()),
            check_limit(limit),
            self._life,
            None if wanted.is_open else is_wanted,
        )

    def _sources(
        self, place: JobPlace, route: Optional[str], priorities: Sequence[JobPriority]
    ) -> Sequence[Pages]:
        deployment, keys = self._deployment, self._deployment.keys
        if place is JobPlace.QUEUED:
            lists = [keys.ready(priority, route) for priority in priorities]
            return [ListPages(deployment, key, newest_first=True) for key in lists]
        if place is JobPlace.TAKEN:
            return [ListPages.taken(deployment)]
        if place is JobPlace.DEAD:
            return [ListPages(deployment, keys.dead, newest_first=False)]
        return [SetPages(deployment)]


def _listed_place(value: object) -> JobPlace:
    """Return a place that has a list of its jobs."""
    words = {str(place): place for place in _LISTED}
    found = words.get(str(value)) if isinstance(value, str) else None
    if found is None:
        raise ValueError(
            f"place must be {', '.join(list(words)[:-1])} or {list(words)[-1]}, not {shown(value)}"
        )
    return found
