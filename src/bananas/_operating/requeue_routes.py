"""Decides onto which list a job goes that is queued again."""

from __future__ import annotations

from typing import Optional

from ..models import Job
from .deployment import Deployment

__all__ = ["Routes"]


class Routes:
    """Knows the list of each job.

    Args:
        deployment: Whose lists they are.
        routes: ``"flat"`` for the flat lists; ``"document"`` for the route that a job's document
            names, and the client's own where it names none. None is the latter, and refuses to
            choose where a document names a route and the client has none.
    """

    def __init__(self, deployment: Deployment, routes: Optional[str]) -> None:
        if routes not in (None, "flat", "document"):
            raise ValueError("routes must be 'flat', 'document' or None")
        self._keys = deployment.keys
        self._routing_key = deployment.routing_key
        self._routes = routes

    def target(self, job: Job) -> bytes:
        """Return the list that a job goes to.

        Raises:
            ValueError: It has to be said which.
        """
        if self._routes == "flat":
            return self._keys.ready(job.priority, None)
        named = job.routing_key
        if named is not None and self._routing_key is None and self._routes is None:
            raise ValueError(
                f"job {job.id} has the route {named!r}, but this client has none: pass "
                "routes='document' if workers of that route run it, or routes='flat' if your "
                "workers ignore routes"
            )
        return self._keys.ready(job.priority, named or self._routing_key)
