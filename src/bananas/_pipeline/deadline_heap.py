"""The deadlines of all requests that are under way, in one heap."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Iterator, List, Optional, Sequence, Tuple

from .requests import Request

__all__ = ["NEVER", "Deadlines"]

NEVER = float("inf")


class Deadlines:
    """Every request without an outcome, the soonest deadline first.

    A request that has ended stays for a while: removing it at once would cost more.
    """

    __slots__ = ("_count", "_heap")

    def __init__(self) -> None:
        self._heap: List[Tuple[float, int, Request]] = []
        self._count = 0  # decides between equal deadlines

    def __iter__(self) -> Iterator[Request]:
        """Iterate over the requests that have not ended."""
        return (entry[2] for entry in list(self._heap) if not entry[2].future.done())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def add(self, request: Request) -> None:
        """Take a request in."""
        heap = self._heap
        # Two go for each that comes, so that the heap shrinks while requests come and end.
        if heap and heap[0][2].future.done():
            heappop(heap)
            if heap and heap[0][2].future.done():
                heappop(heap)
        self._count += 1
        heappush(heap, (request.deadline, self._count, request))

    def remove(self, requests: Sequence[Request]) -> None:
        """Let go of some requests, which have not ended."""
        removed = set(requests)
        self._heap = [entry for entry in self._heap if entry[2] not in removed]
        heapify(self._heap)

    def clear(self) -> None:
        """Forget all: each of them has ended."""
        self._heap.clear()

    def soonest(self) -> float:
        """Return the soonest deadline."""
        request = self.first()
        return NEVER if request is None else request.deadline

    def first(self) -> Optional[Request]:
        """Return the request with the soonest deadline, if there is one."""
        heap = self._heap
        while heap and heap[0][2].future.done():
            heappop(heap)
        return heap[0][2] if heap else None

    def take_late(self, now: float) -> List[Request]:
        """Remove and return the requests whose deadline is over."""
        late: List[Request] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            request = heappop(heap)[2]
            if not request.future.done():
                late.append(request)
        return late
