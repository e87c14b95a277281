"""OperatingReads: what the public methods of a client hand their operating calls to."""

from __future__ import annotations

import functools
import time
from typing import Callable, Iterable, List, Optional, Sequence, Union

from .._argument_checks import (
    check_integer,
    check_iterable,
    check_routing_key,
    check_seconds,
    shown,
)
from .._pipeline import AutoPipeline
from .._types import NOT_GIVEN, NotGiven, Seconds
from .._waits import Waits
from .._wire import Keys
from ..enums import JobPriority, Priority, check_priority
from ..location import JobPlace
from ..operating import Explanation, JobEntry, QueueDepths
from .connection import OperatingConnection
from .dead_letters import LetterFilter
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
    """Carries out the operating calls of one client.

    Args:
        connection: Carries the commands.
        pipeline: Carries reads of one job.
        waits: Knows of each awaited job.
        keys: The names of everything.
        routing_key: The client's own route; None for the flat lists.

    Attributes:
        connection: As given.
    """

    def __init__(
        self,
        connection: OperatingConnection,
        pipeline: AutoPipeline,
        waits: Waits,
        keys: Keys,
        *,
        routing_key: Optional[str] = None,
    ) -> None:
        self.connection = connection
        self._pipeline = pipeline
        self._waits = waits
        self._keys = keys
        self._routing_key = routing_key
        self._discovered: List[str] = []
        self._discovered_at = 0.0
        #: The client's life, which a listing must not outlive.
        self.life: object = None

    async def depths(
        self, routing_keys: Iterable[Optional[str]], *, discover: bool = False
    ) -> QueueDepths:
        """Count the jobs of the client's own route, of those given, and of those found."""
        routes: List[Optional[str]] = [self._routing_key]
        if isinstance(routing_keys, (str, bytes)):
            raise ValueError("routing_keys must be a list of routing keys, not one: write [key]")
        check_iterable(routing_keys, "routing_keys", "routing key")
        for index, key in enumerate(routing_keys):
            routes.append(check_routing_key(key, f"routing_keys[{index}]"))
        if discover:
            routes += [None, *await self._routes()]
        unique = list(dict.fromkeys(routes))
        return await read_depths(self.connection, self._keys, unique, now=time.time())

    async def _routes(self) -> List[str]:
        """Look for the routes that have jobs, unless that was done a moment ago."""
        now = time.monotonic()
        found = await discover_routes(self.connection, self._keys)
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
                f"{seconds:g}: an idle worker may need 5 s to come round"
            )
        return await explain(self.connection, self._keys, job_id, self._routing_key, seconds)

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
        if limit is not None:
            limit = check_integer(limit, "limit", at_least=0)
        route = self._routing_key
        if not isinstance(routing_key, NotGiven):
            route = check_routing_key(routing_key)
        priorities = list(JobPriority) if priority is None else [check_priority(priority)]
        sources = self._sources(place, route, priorities)
        return ListedJobs(self.connection, self._keys, place, sources, limit, self.life)

    def dead_letters(self, wanted: LetterFilter, limit: Optional[int]) -> ListedJobs:
        """Return an iterator over the dead letters that are meant."""
        if limit is not None:
            limit = check_integer(limit, "limit", at_least=0)

        def is_wanted(entry: JobEntry) -> bool:
            return entry.job is not None and wanted.matches(entry.job)

        sources = self._sources(JobPlace.DEAD, None, [])
        chosen = None if wanted.is_open else is_wanted
        return ListedJobs(
            self.connection, self._keys, JobPlace.DEAD, sources, limit, self.life, chosen
        )

    def _sources(
        self, place: JobPlace, route: Optional[str], priorities: Sequence[JobPriority]
    ) -> List[Callable[[], Pages]]:
        conn, keys = self.connection, self._keys
        if place is JobPlace.QUEUED:
            lists = [keys.ready(priority, route) for priority in priorities]
            return [functools.partial(ListPages, conn, key, newest_first=True) for key in lists]
        if place is JobPlace.TAKEN:
            return [functools.partial(ListPages.taken, conn, keys.processing)]
        if place is JobPlace.DEAD:
            return [functools.partial(ListPages, conn, keys.dead, newest_first=False)]
        return [functools.partial(SetPages, conn, keys.scheduled)]


def _listed_place(value: object) -> JobPlace:
    """Return a place that has a list of its jobs."""
    words = {str(place): place for place in _LISTED}
    found = words.get(str(value)) if isinstance(value, str) else None
    if found is None:
        raise ValueError(
            f"place must be {', '.join(list(words)[:-1])} or {list(words)[-1]}, not {shown(value)}"
        )
    return found
