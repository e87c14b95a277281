"""Every key and channel name."""

from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Tuple

from ..enums import JobPriority

__all__ = ["Keys"]


class Keys:
    """The names of everything that a deployment keeps in Redis.

    Args:
        prefix: What every name starts with; Go's is fixed to ``bananas:``.
    """

    __slots__ = ("_channel", "_job", "_lists", "_prefix", "_result", "dead", "processing",
                 "scheduled", "taken_notes")  # fmt: skip

    def __init__(self, prefix: str = "bananas:") -> None:
        self._prefix = prefix
        self._job = f"{prefix}job:".encode()
        self._result = f"{prefix}result:".encode()
        self._channel = f"{prefix}result:notify:".encode()
        self.processing: bytes = f"{prefix}queue:processing".encode()
        self.dead: bytes = f"{prefix}queue:dead".encode()
        self.scheduled: bytes = f"{prefix}queue:scheduled".encode()
        #: The hash in which operators note since when they see a job among the taken ones; Go
        #: reads nothing under this name.
        self.taken_notes: bytes = f"{prefix}operator:taken".encode()
        self._lists: Dict[Tuple[Optional[str], JobPriority], bytes] = {}

    def __repr__(self) -> str:
        return f"Keys({self._prefix!r})"

    @property
    def two_slots(self) -> Tuple[bytes, bytes]:
        """Two keys that lie in different slots of a cluster; nothing is stored under them."""
        return f"{self._prefix}{{a}}".encode(), f"{self._prefix}{{b}}".encode()

    @property
    def everything(self) -> str:
        """The pattern of all keys, for SCAN."""
        return "".join(f"\\{char}" if char in "*?[]\\" else char for char in self._prefix) + "*"

    @property
    def of_tests(self) -> bytes:
        """The string that marks a database as one that tests may empty."""
        return f"{self._prefix}testing".encode()

    def job(self, job_id: str) -> bytes:
        """The string that holds a job's document."""
        return self._job + job_id.encode()

    def document(self, member: bytes) -> bytes:
        """The same, for an id in bytes."""
        return self._job + member

    def stored_result(self, member: bytes) -> bytes:
        """The hash that holds the result, for an id in bytes."""
        return self._result + member

    def announcement(self, member: bytes) -> bytes:
        """The channel of the result, for an id in bytes."""
        return self._channel + member

    def result(self, job_id: str) -> bytes:
        """The hash that holds a job's result."""
        return self._result + job_id.encode()

    def channel(self, job_id: str) -> bytes:
        """The channel on which the storing of a job's result is announced."""
        return self._channel + job_id.encode()

    def ready(self, priority: JobPriority, routing_key: Optional[str]) -> bytes:
        """The list in which jobs of a priority wait for a worker, flat or of one route."""
        try:
            return self._lists[routing_key, priority]
        except KeyError:
            route = "" if routing_key is None else f"route:{routing_key}:"
            name = f"{self._prefix}{route}queue:{priority.value}".encode()
            if len(self._lists) < 3000:  # a bound, for callers that make up routes
                self._lists[routing_key, priority] = name
            return name

    @property
    def route_pattern(self) -> Tuple[bytes, bytes]:
        """What stands before, and behind, the routing key in the name of a list."""
        return f"{self._prefix}route:".encode(), b":queue:"

    def all_ready(self, routing_keys: Iterable[Optional[str]]) -> List[bytes]:
        """The lists of some routes, in the order in which a worker empties them."""
        routes = list(routing_keys)
        return [self.ready(priority, route) for route in routes for priority in JobPriority]
