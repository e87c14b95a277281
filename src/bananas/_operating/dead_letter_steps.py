"""Moves or deletes a few dead letters in one step of the server, by a script or a transaction."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from typing import Dict, List, NamedTuple, Optional, Sequence, Union

from .. import exceptions as exc
from .._redis import TRANSIENT, Command, Reply, ReplyError
from .._wire import Keys
from ..models import Job
from .connection import HeldConnection, OperatingConnection
from .dead_letter_scripts import (
    Purge,
    Requeue,
    move_letters,
    purge_letters,
    rights_to_move,
    rights_to_purge,
)
from .finished_jobs import requeued
from .requeue_routes import Routes
from .rights import check_rights, missing_right, refusal

__all__ = ["Letter", "LetterSteps"]

_PAGE = 200
_BYTES = 1 << 20
# A step that holds the server for longer is followed by a smaller page.
_SLOW = 0.02
_SMALLEST = 20
# After so many transactions of this size that a new letter broke, it is no longer watched for.
_FEW = 5
_TRIES = 3
_Changes = Sequence[Union[Requeue, Purge]]


class Letter(NamedTuple):
    """A dead letter that is meant.

    Attributes:
        place: Where it stands in the list, counted from the right end, below 0.
        member: Its id.
        document: Its document as it was read; None where it has none.
        job: What the document says.
    """

    place: int
    member: bytes
    document: Optional[bytes]
    job: Optional[Job]


class LetterSteps:
    """Carries out what is to be done to dead letters.

    Where the user may run scripts, a step is a script; else a transaction that watches the list
    and the documents, and is tried again with fewer letters when they change meanwhile.

    Args:
        connection: Carries the commands.
        keys: The names of everything.
        routes: Onto which lists the letters go; None deletes them.

    Attributes:
        size: How many letters a page should have.
        targets: How many went to each list.
    """

    def __init__(
        self, connection: OperatingConnection, keys: Keys, routes: Optional[Routes]
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._routes = routes
        self._task = "delete dead letters" if routes is None else "requeue dead letters"
        self._mark = f"mark of {uuid.uuid4()}".encode()
        self._has_scripts: Optional[bool] = None
        self._watches_list = True
        self._most = _PAGE
        self._failures = 0
        self._round_trip = float("inf")
        self.size = _PAGE
        self.targets: Dict[str, int] = {}

    def count(self, target: bytes) -> None:
        """Count one that went to a list."""
        name = target.decode("utf-8", "replace")
        self.targets[name] = self.targets.get(name, 0) + 1

    async def carry_out(self, letters: Sequence[Letter]) -> int:
        """Do it in steps of at most 1 MiB; return how many went, of the first ones.

        Fewer than all is a sign that somebody else has changed the list.
        """
        if self._has_scripts is None:
            self._has_scripts = await self._may_run_scripts()
        done = 0
        begin = 0
        while begin < len(letters):
            end, total = begin, 0
            while end < len(letters) and (end == begin or total < _BYTES):
                if end - begin >= self._most:
                    break
                total += len(letters[end].document or b"")
                end += 1
            # What went before stood to the right, and has moved these to the right.
            went = await self._step(letters[begin:end], done)
            if went is None:
                continue
            done += went
            if went < end - begin:
                break
            begin = end
        return done

    async def _may_run_scripts(self) -> bool:
        command: Command = (b"EVAL", b"return 1", 0)
        now = asyncio.get_running_loop().time
        began = now()
        (reply,) = await self._connection.run([command], again=True)
        self._round_trip = now() - began
        if isinstance(reply, ReplyError) and reply.code in TRANSIENT:
            raise refusal(command, reply, self._task)
        return not isinstance(reply, ReplyError)

    async def _step(self, letters: Sequence[Letter], shift: int) -> Optional[int]:
        """Carry out one step; None where it has to be tried again."""
        page = self._changes(letters, shift)
        found = await (self._by_script(page) if self._has_scripts else self._by_transaction(page))
        if found is None:
            self._failures += 1
            self._most = max(_FEW, self._most // 2)
            if self._most == _FEW and self._failures >= _TRIES:
                self._watches_list = False
            return None
        self._failures = 0
        self._most = min(_PAGE, 2 * self._most) if self._watches_list else _SMALLEST
        for number in found:
            change = page[number]
            if isinstance(change, Requeue):
                self.count(change.target)
        return len(found)

    def _changes(self, letters: Sequence[Letter], shift: int) -> _Changes:
        keys = self._keys
        if self._routes is None:
            return [
                Purge(one.place + shift, one.member, keys.document(one.member),
                      keys.stored_result(one.member), _sum(one.document))
                for one in letters
            ]  # fmt: skip
        moved: List[Requeue] = []
        for one in letters:
            assert one.document is not None
            assert one.job is not None
            moved.append(
                Requeue(one.place + shift, one.member, keys.document(one.member),
                        keys.stored_result(one.member), self._routes.target(one.job),
                        _sum(one.document), requeued(one.document))
            )  # fmt: skip
        return moved

    async def _by_script(self, page: _Changes) -> List[int]:
        command = _script(self._keys.dead, self._mark, page)
        probe: Command = (b"EVAL", b"return 1", *_keys_of(command))
        rights = _rights(self._keys.dead, page)
        await check_rights(self._connection, [probe, *rights], self._task)
        now = asyncio.get_running_loop().time
        began = now()
        (reply,) = await self._connection.run([command])
        if isinstance(reply, ReplyError):
            raise exc.ServerError(f"can't {self._task}: Redis refuses: {reply}", code=reply.code)
        elapsed = now() - began
        self._round_trip = min(self._round_trip, elapsed)
        if elapsed - self._round_trip > _SLOW:
            self.size = max(_SMALLEST, self.size // 2)
        else:
            self.size = min(_PAGE, self.size * 2)
        return [number - 1 for number in reply]

    # -- without scripts -------------------------------------------------------------------------

    async def _by_transaction(self, page: _Changes) -> Optional[List[int]]:
        """Return which went; None where the list or a document has changed meanwhile."""
        async with self._connection.exclusive() as held:
            unchanged = await self._watch(held, page)
            if not unchanged:
                return []
            begin: Command = (b"MULTI",)
            # It goes alone: were it refused, the commands would be carried out one by one.
            (reply,) = await held.run([begin])
            if isinstance(reply, ReplyError):
                raise refusal(begin, reply, self._task)
            commands = [*self._commands([page[at] for at in unchanged]), (b"EXEC",)]
            replies = await held.run(commands)
        done = replies[-1]
        if done is None:
            return None
        error = missing_right(commands, replies, self._task)
        if error is not None:
            raise error
        refused = next((one for one in done if isinstance(one, ReplyError)), None)
        if refused is not None:
            raise exc.ServerError(
                f"can't {self._task}: Redis refuses: {refused}", code=refused.code
            )
        if self._watches_list:
            return unchanged
        size = (len(commands) - 1) // len(unchanged)
        return [at for n, at in enumerate(unchanged) if done[n * size]]

    async def _watch(self, held: HeldConnection, page: _Changes) -> List[int]:
        """Watch all that must not change, and return which letters are as they were read."""
        dead = self._keys.dead
        documents: List[Command] = [(b"GET", one.job) for one in page]
        places: List[Command] = []
        watched = [one.job for one in page]
        if self._watches_list:
            places = [(b"LINDEX", dead, one.place) for one in page]
            watched.append(dead)
        # A list that is none would be found in the midst of the transaction only.
        targets = dict.fromkeys(one.target for one in page if isinstance(one, Requeue))
        lists: List[Command] = [(b"LLEN", target) for target in targets]
        commands = [(b"WATCH", *watched), *documents, *places, *lists]
        replies = await held.run(commands)
        odd = [isinstance(one, ReplyError) and one.code == "WRONGTYPE" for one in replies]
        for command, reply, is_odd in zip(commands, replies, odd):
            if isinstance(reply, ReplyError) and not (is_odd and command[0] == b"GET"):
                raise refusal(command, reply, self._task)
        texts = replies[1 : len(page) + 1]
        found: Sequence[Reply] = replies[len(page) + 1 : len(page) + 1 + len(places)]
        return [
            at
            for at, one in enumerate(page)
            if not odd[at + 1]
            and _sum(texts[at]) == one.sum
            and (not places or found[at] == one.job_id)
        ]

    def _commands(self, page: _Changes) -> List[Command]:
        dead, commands = self._keys.dead, []
        for one in page:
            taken: Command = (b"LREM", dead, -1, one.job_id)
            if self._watches_list:
                taken = (b"LSET", dead, one.place, self._mark)
            commands.append(taken)
            if isinstance(one, Requeue):
                commands += [
                    (b"SET", one.job, one.new),
                    (b"DEL", one.result),
                    (b"LPUSH", one.target, one.job_id),
                ]
            else:
                commands.append((b"DEL", one.job, one.result))
        if self._watches_list:
            commands.append((b"LREM", dead, -len(page), self._mark))
        return commands


def _script(dead: bytes, mark: bytes, page: _Changes) -> Command:
    moved = [one for one in page if isinstance(one, Requeue)]
    if moved:
        return move_letters(dead, mark, moved)
    return purge_letters(dead, mark, [one for one in page if isinstance(one, Purge)])


def _rights(dead: bytes, page: _Changes) -> List[Command]:
    moved = [one for one in page if isinstance(one, Requeue)]
    if moved:
        return rights_to_move(dead, moved)
    return rights_to_purge(dead, [one for one in page if isinstance(one, Purge)])


def _keys_of(command: Command) -> Command:
    count = command[2]
    assert isinstance(count, int)
    return command[2 : 3 + count]


def _sum(document: Optional[bytes]) -> str:
    return "" if document is None else hashlib.sha1(document).hexdigest()
