"""A Redis that tests look into and write to behind the backs of the clients."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List
from urllib.parse import urlsplit

from tests.support import RawClient

__all__ = ["Broker"]


class Broker:
    """The key space of one server, over a connection of its own.

    Args:
        url: Where clients connect; a plain redis:// URL on loopback, without credentials.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._raw = RawClient(urlsplit(url).port or 6379)
        self.command("PING")  # whatever serves this connection has started then

    def command(self, *args: Any) -> Any:
        """Run one command and return its reply; strings in it are bytes."""
        return self._raw.command(*args)

    def document(self, job_id: str, prefix: str = "bananas:") -> bytes:
        """Return the bytes of a job's document."""
        found: bytes = self.command("GET", f"{prefix}job:{job_id}")
        return found

    def job(self, job_id: str, prefix: str = "bananas:") -> Dict[str, Any]:
        """Return a job's document, decoded."""
        found: Dict[str, Any] = json.loads(self.document(job_id, prefix))
        return found

    def queued(self, queue: str) -> List[str]:
        """Return the ids in a list, in the order in which workers take them."""
        ids = self.command("LRANGE", f"bananas:{queue}", 0, -1)
        return [job_id.decode() for job_id in reversed(ids)]

    def scheduled(self) -> Dict[str, float]:
        """Return the scheduled ids with their scores."""
        flat = self.command("ZRANGE", "bananas:queue:scheduled", 0, -1, "WITHSCORES")
        return {job_id.decode(): float(score) for job_id, score in zip(flat[::2], flat[1::2])}

    def result(self, job_id: str) -> Dict[str, str]:
        """Return the fields of a stored result."""
        flat = self.command("HGETALL", f"bananas:result:{job_id}")
        return {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2])}

    def keys(self) -> List[str]:
        """Return every key."""
        return sorted(key.decode() for key in self.command("KEYS", "*"))

    def subscribers(self, job_id: str) -> int:
        """Return how many connections are subscribed to a job's notifications."""
        channel = f"bananas:result:notify:{job_id}"
        count: int = self.command("PUBSUB", "NUMSUB", channel)[1]
        return count

    def connections(self) -> int:
        """Return how many connections of our clients there are."""
        found: bytes = self.command("CLIENT", "LIST")
        return len(re.findall(rb"\bname=bananas\b", found))

    def flush(self) -> None:
        """Forget everything."""
        self.command("FLUSHALL")

    def close(self) -> None:
        """Close the connection."""
        self._raw.close()
