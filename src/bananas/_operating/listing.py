"""Pages through the ids of a place while others add and remove there."""

from __future__ import annotations

from typing import AsyncIterator, List, NamedTuple, Optional, Protocol, Tuple

from .._redis import Argument, Command, Reply
from .deployment import Deployment, granted
from .document_pages import PAGE_IDS

__all__ = ["ListPages", "Member", "Pages", "SetPages", "scan"]

# A shorter list of taken jobs is read in one step: ids leave it anywhere.
_AT_ONCE = 10_000
# How far back, and how many of the last ids, are looked for where the list has changed.
_SEARCHED = 20_000
_REMEMBERED = 20
_KEYS_A_STEP = 1000


class Member(NamedTuple):
    """An id that stands somewhere, and its score in the set of scheduled jobs."""

    id: bytes
    score: Optional[bytes] = None


class Pages(Protocol):
    """Gives the ids of one place, page by page."""

    async def next(self) -> List[Member]:
        """Return the next page; an empty one at the end."""
        ...


class ListPages:
    """The ids of a list, from one of its ends.

    Jobs are pushed on the left and popped on the right, and leave the middle when they end or are
    cancelled. Each page begins with the last id of the one before; where that has moved, it is
    looked for. An id may be given twice then; one that stays in the list is not left out.

    Args:
        deployment: Where to read.
        key: The list.
        newest_first: From the left end; else from the right one.

    Attributes:
        size: How many ids the next page has at most; 500 for each after that.
    """

    def __init__(self, deployment: Deployment, key: bytes, *, newest_first: bool) -> None:
        self._deployment = deployment
        self._key = key
        self._newest_first = newest_first
        self.size = PAGE_IDS
        self._at = 0  # entries before the page
        self._last: List[bytes] = []  # the last of them
        self._page: List[bytes] = []
        self._is_over = False

    @classmethod
    def taken(cls, deployment: Deployment) -> ListPages:
        """Return those of the list of taken jobs: a short one is one page."""
        made = cls(deployment, deployment.keys.processing, newest_first=True)
        made.size = _AT_ONCE
        return made

    @property
    def reached(self) -> int:
        """How far from its end of the list the last page reached, in entries."""
        return self._at + len(self._page)

    def keep(self, ids: List[bytes]) -> None:
        """Note which entries of the last page the caller has left in the list."""
        self._page = ids

    async def next(self) -> List[Member]:
        """Return the next page; an empty one at the end."""
        self._at += len(self._page)
        self._last = (self._last + self._page)[-_REMEMBERED:]
        self._page = []
        while not self._is_over:
            overlap = 1 if self._last else 0
            ids = await self._read(self._at - overlap, self.size + overlap)
            if overlap and ids[:1] != self._last[-1:]:
                if (not ids and self._at == 0) or not await self._find_again():
                    return []
                continue
            self._is_over = len(ids) < self.size + overlap
            self._page = ids[overlap:]
            self.size = PAGE_IDS
            break
        return [Member(one) for one in self._page]

    async def _read(self, start: int, count: int) -> List[bytes]:
        ends = (start, start + count - 1) if self._newest_first else (-start - count, -start - 1)
        ids: List[bytes] = await self._deployment.ask((b"LRANGE", self._key, *ends))
        return ids if self._newest_first else ids[::-1]

    async def _find_again(self) -> bool:
        """Go on behind the latest of the last ids that is still there; False at the end."""
        rank = 1 if self._newest_first else -1
        most = self._at + _SEARCHED
        looks: List[Command] = [
            (b"LPOS", self._key, one, b"RANK", rank, b"MAXLEN", most) for one in self._last
        ]
        length, *places = await self._together([(b"LLEN", self._key), *looks])
        found = [
            (at, place if self._newest_first else length - 1 - place)
            for at, place in enumerate(places)
            if place is not None
        ]
        if found:
            at, place = found[-1]
            self._last = self._last[: at + 1]
            self._at = place + 1
        else:
            # All of them have left, and nobody can tell how many before them: begin anew.
            self._at = 0
            self._last = []
        return bool(self._at < length)

    async def _together(self, commands: List[Command]) -> List[Reply]:
        transaction: List[Command] = [(b"MULTI",), *commands, (b"EXEC",)]
        replies = await self._deployment.connection.run(transaction, again=True)
        (found,) = granted(replies[-1:], "read the queue")
        return list(found)


class SetPages:
    """The scheduled jobs, those that are due first first, with their scores.

    The next page begins at the score and the id of the last one, so that nothing that leaves or
    comes moves it.

    Args:
        deployment: Where to read.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._key = deployment.keys.scheduled
        self._last: Optional[Tuple[float, bytes]] = None
        self._score = b"-inf"
        self._is_over = False

    async def next(self) -> List[Member]:
        """Return the next page; an empty one at the end."""
        if self._is_over:
            return []
        page = await self._ask(
            # Not ZRANGEBYSCORE: how often that is called tells whether a scheduler runs.
            (b"ZRANGE", self._key, self._score, b"+inf", b"BYSCORE", b"LIMIT", 0, PAGE_IDS,
             b"WITHSCORES")
        )  # fmt: skip
        fresh = self._behind(page)
        self._is_over = len(page) < PAGE_IDS
        if not fresh and not self._is_over:
            fresh = await self._by_index()
        if fresh:
            self._score = fresh[-1].score or b"-inf"
            self._last = _order(fresh[-1])
        return fresh

    def _behind(self, page: List[Member]) -> List[Member]:
        last = self._last
        return page if last is None else [one for one in page if _order(one) > last]

    async def _by_index(self) -> List[Member]:
        """Return the next page where more than a page has the score of the last one."""
        before = await self._deployment.ask((b"ZCOUNT", self._key, b"-inf", b"(" + self._score))
        start = int(before) + PAGE_IDS
        place = await self._deployment.ask(
            (b"ZRANK", self._key, self._last[1] if self._last else b"")
        )
        if place is not None:
            start = int(place) + 1
        is_checked = False
        while True:
            page = await self._ask(
                (b"ZRANGE", self._key, start, start + PAGE_IDS - 1, b"WITHSCORES")
            )
            fresh = self._behind(page)
            if start > 0 and not is_checked and len(fresh) == len(page):
                # Entries before it may have left since: this entry may not be the next one.
                start = max(0, start - PAGE_IDS)
                continue
            is_checked = True
            if fresh or len(page) < PAGE_IDS:
                self._is_over = len(page) < PAGE_IDS
                return fresh
            start += PAGE_IDS

    async def _ask(self, command: Command) -> List[Member]:
        flat = iter(await self._deployment.ask(command))
        return [Member(one, score) for one, score in zip(flat, flat)]


def _order(member: Member) -> Tuple[float, bytes]:
    return float(member.score or 0), member.id


async def scan(
    deployment: Deployment, pattern: Argument, *options: Argument, task: str = "read the queue"
) -> AsyncIterator[List[bytes]]:
    """Iterate over the keys of a pattern, in steps that each take less than a millisecond.

    Args:
        deployment: Where to read.
        pattern: The pattern.
        options: More arguments of SCAN.
        task: What it is for, for the message.

    Raises:
        exceptions.ServerError: Redis refuses.
    """
    cursor = b"0"
    while True:
        command: Command = (
            b"SCAN", cursor, b"MATCH", pattern, b"COUNT", _KEYS_A_STEP, *options,
        )  # fmt: skip
        cursor, names = await deployment.ask(command, task)
        yield names
        if cursor == b"0":
            return
