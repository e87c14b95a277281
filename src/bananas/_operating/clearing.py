"""Requeues or deletes dead letters, page by page, each page in one step of the server."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from dataclasses import replace
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from .. import exceptions as exc
from .._redis import Command, Reply, ReplyError
from .._wire import Keys
from ..models import Job
from ..operating import DeadLetterCounts
from .connection import OperatingConnection
from .finished import requeued
from .letters import Kind, LetterFilter, read_letter
from .pages import read_page
from .rights import check_rights
from .routes import Routes
from .scripts import (
    Purge,
    Requeue,
    move_letters,
    purge_letters,
    rights_to_move,
    rights_to_purge,
)

__all__ = ["Clearing"]

_PAGE = 200
_BYTES = 1 << 20
# A page that takes longer than this is followed by a smaller one; the others wait meanwhile.
_SLOW = 0.02
_SMALLEST = 5


class _Letter(NamedTuple):
    place: int
    member: bytes
    document: Optional[bytes]
    job: Optional[Job]


class Clearing:
    """One call: it goes from the oldest letter to the newest, and leaves what is not meant.

    Progress is the list itself: a page is moved or not, and whoever begins again goes on.

    Args:
        connection: Carries the commands.
        keys: The names of everything.
        wanted: Which letters are meant.
        routes: Onto which lists they go; None deletes them.
        limit: How many at most; None is all.
        rate: How many a second at most; None is as fast as it goes.
        dry_run: Whether only to count.
        progress: Called with the counts so far, after each page.
    """

    def __init__(
        self,
        connection: OperatingConnection,
        keys: Keys,
        wanted: LetterFilter,
        routes: Optional[Routes],
        *,
        limit: Optional[int],
        rate: Optional[float],
        dry_run: bool,
        progress: Optional[Callable[[DeadLetterCounts], None]],
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._wanted = wanted
        self._routes = routes
        self._limit = limit
        self._rate = rate
        self._dry_run = dry_run
        self._progress = progress
        self._counts = DeadLetterCounts(dry_run=dry_run)
        self._targets: Dict[str, int] = {}
        self._mark = f"mark of {uuid.uuid4()}".encode()
        self._size = _PAGE
        self._passed = 0  # entries at the right end that stay
        self._began_at = 0
        self._anchor: Optional[bytes] = None  # the last of them
        self._now = asyncio.get_running_loop().time
        self._began = self._now()

    async def run(self) -> DeadLetterCounts:
        """Go through the list until nothing that is meant is left."""
        while not self._is_done():
            done_before = self._counts.done
            self._passed, self._anchor = 0, None
            self._counts = replace(self._counts, expired=0, unreadable=0, stale=0, other=0)
            await self._pass()
            if self._dry_run or self._counts.done == done_before:
                break
        return self._counts

    def _is_done(self) -> bool:
        return self._limit is not None and self._counts.done >= self._limit

    async def _pass(self) -> None:
        while not self._is_done():
            ids = await self._next_ids()
            if not ids:
                return
            documents = await read_page(self._connection, self._keys, ids)
            chosen = self._choose(ids, documents)
            if chosen and not self._dry_run:
                done = await self._commit(chosen)
            else:
                done = len(chosen) if self._dry_run else 0
            self._counts = replace(
                self._counts, done=self._counts.done + done, targets=dict(self._targets)
            )
            stayed = len(ids) - (0 if self._dry_run else done)
            if stayed:
                self._passed += stayed
                gone = {letter.place for letter in chosen} if done == len(chosen) else set()
                left = [
                    member
                    for n, member in enumerate(ids)
                    if self._dry_run or -(self._began_at + n + 1) not in gone
                ]
                self._anchor = left[-1] if left and done == len(chosen) else None
            if done < len(chosen):
                self._passed, self._anchor = 0, None  # another operator is here
            if self._progress is not None:
                self._progress(self._counts)
            await self._keep_rate()

    async def _next_ids(self) -> List[bytes]:
        """Return the next ids from the right, the oldest first, and find the place again."""
        size = self._size
        if self._limit is not None:
            size = max(1, min(size, self._limit - self._counts.done))
        if self._rate is not None:
            size = max(1, min(size, int(self._rate)))
        k = self._passed
        overlap = 1 if self._anchor is not None else 0
        command: Command = (b"LRANGE", self._keys.dead, -(k + size), -(k + 1) + overlap)
        found: List[bytes] = (await self._read([command]))[0][::-1]
        if overlap:
            if not found or found[0] != self._anchor:
                # Others have taken letters away on the right: go back by as many.
                self._passed, self._anchor = await self._found_again(), None
                return await self._next_ids()
            found = found[1:]
        self._began_at = k
        return found

    async def _found_again(self) -> int:
        """Return how many entries stand from the right end to the last that was passed."""
        reads: List[Command] = [
            (b"MULTI",),
            (b"LLEN", self._keys.dead),
            (b"LPOS", self._keys.dead, self._anchor or b"", b"RANK", -1,
             b"MAXLEN", self._passed + 1),
            (b"EXEC",),
        ]  # fmt: skip
        found: Reply = (await self._read(reads))[-1]
        return 0 if found is None or found[1] is None else found[0] - found[1]

    async def _read(self, commands: Sequence[Command]) -> List[Reply]:
        replies = await self._connection.run(commands, again=True)
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise exc.ServerError(
                    f"can't read the dead letters: Redis refuses: {reply}", code=reply.code
                )
        return replies

    # -- which of a page -------------------------------------------------------------------------

    def _choose(self, ids: Sequence[bytes], documents: Sequence[Optional[bytes]]) -> List[_Letter]:
        chosen: List[_Letter] = []
        counts = {"expired": 0, "unreadable": 0, "stale": 0, "other": 0}
        seen = 0
        left = None if self._limit is None else self._limit - self._counts.done
        for n, (member, document) in enumerate(zip(ids, documents)):
            if left is not None and len(chosen) >= left:
                break
            seen += 1
            kind, job = read_letter(document)
            what = self._refusal(kind, job)
            if what:
                counts[what] += 1
                continue
            letter = _Letter(-(self._began_at + n + 1), member, document, job)
            if self._routes is not None and job is not None:
                target = self._routes.target(job)  # it may refuse to choose
                if self._dry_run:
                    self._count(target)
            chosen.append(letter)
        self._counts = replace(
            self._counts,
            looked_at=self._counts.looked_at + seen,
            expired=self._counts.expired + counts["expired"],
            unreadable=self._counts.unreadable + counts["unreadable"],
            stale=self._counts.stale + counts["stale"],
            other=self._counts.other + counts["other"],
        )
        return chosen

    def _refusal(self, kind: Kind, job: Optional[Job]) -> str:
        """Return why a letter stays, and an empty string for one that is meant."""
        if kind is Kind.EXPIRED:
            return "" if self._routes is None and self._wanted.is_open else "expired"
        if kind is Kind.UNREADABLE:
            return "unreadable"
        if kind is Kind.STALE:
            return "stale"
        assert job is not None
        if not self._wanted.matches(job):
            return "other"
        return "unreadable" if kind is Kind.STUB and self._routes is not None else ""

    # -- one page --------------------------------------------------------------------------------

    async def _commit(self, chosen: Sequence[_Letter]) -> int:
        """Carry out a page in steps of at most 1 MiB; return how many letters went."""
        done = 0
        begin = 0
        while begin < len(chosen):
            end, total = begin, 0
            while end < len(chosen) and (end == begin or total < _BYTES):
                total += len(chosen[end].document or b"")
                end += 1
            # What went before stood to the right, and has moved these to the right.
            went = await self._step(chosen[begin:end], done)
            done += went
            if went < end - begin:
                break
            begin = end
        return done

    async def _step(self, letters: Sequence[_Letter], shift: int) -> int:
        dead, keys = self._keys.dead, self._keys
        command: Command
        if self._routes is None:
            purge = [
                Purge(one.place + shift, one.member, keys.document(one.member),
                      keys.stored_result(one.member), _sum(one.document))
                for one in letters
            ]  # fmt: skip
            command, rights = purge_letters(dead, self._mark, purge), rights_to_purge(dead, purge)
            task = "delete dead letters"
        else:
            move: List[Requeue] = []
            for one in letters:
                assert one.document is not None
                assert one.job is not None
                move.append(
                    Requeue(one.place + shift, one.member, keys.document(one.member),
                            keys.stored_result(one.member), self._routes.target(one.job),
                            _sum(one.document), requeued(one.document))
                )  # fmt: skip
            command, rights = move_letters(dead, self._mark, move), rights_to_move(dead, move)
            task = "requeue dead letters"
        probe: Command = (b"EVAL", b"return 1", *_keys_of(command))
        await check_rights(self._connection, [probe, *rights], task)
        began = self._now()
        (reply,) = await self._connection.run([command])
        if isinstance(reply, ReplyError):
            raise exc.ServerError(f"can't {task}: Redis refuses: {reply}", code=reply.code)
        if self._routes is not None:
            for number in reply:
                self._count(command[5 + 3 * (number - 1) + 1])
        if self._now() - began > _SLOW:
            self._size = max(_SMALLEST, self._size // 2)
        else:
            self._size = min(_PAGE, self._size * 2)
        return len(reply)

    def _count(self, target: object) -> None:
        name = target.decode("utf-8", "replace") if isinstance(target, bytes) else str(target)
        self._targets[name] = self._targets.get(name, 0) + 1

    async def _keep_rate(self) -> None:
        if self._rate is not None and not self._dry_run:
            ahead = self._began + self._counts.done / self._rate - self._now()
            await asyncio.sleep(max(0.0, ahead))


def _keys_of(command: Command) -> Command:
    count = command[2]
    assert isinstance(count, int)
    return command[2 : 3 + count]


def _sum(document: Optional[bytes]) -> str:
    return "" if document is None else hashlib.sha1(document).hexdigest()
