"""Decides onto which list a job goes that is queued again."""

from __future__ import annotations

from typing import Optional

from .._wire import Keys
from ..models import Job

__all__ = ["Routes", "check_routes"]

_WORDS = ("flat", "document")


def check_routes(value: Optional[str]) -> Optional[str]:
    """Return ``"flat"``, ``"document"`` or None."""
    if value is None or value in _WORDS:
        return value
    raise ValueError("routes must be 'flat', 'document' or None")


class Routes:
    """Knows the list of each job.

    Args:
        keys: The names of everything.
        routing_key: The client's own route; None for the flat lists.
        routes: ``"flat"`` for the flat lists; ``"document"`` for the route that a job's document
            names, and the client's own where it names none. None is the latter, and refuses to
            choose where a document names a route and the client has none.
    """

    def __init__(self, keys: Keys, routing_key: Optional[str], routes: Optional[str]) -> None:
        self._keys = keys
        self._routing_key = routing_key
        self._routes = check_routes(routes)

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
                f"job {job.id} names the route {named!r}, and this client has none: say "
                "routes='document' if workers of that route run it, or routes='flat' if your "
                "workers ignore routes"
            )
        return self._keys.ready(job.priority, named or self._routing_key)
