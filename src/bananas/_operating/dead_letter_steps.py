"""Moves or deletes a few dead letters in one step of the server, by a script or a transaction."""

from __future__ import annotations

import asyncio
import uuid
from typing import List, Optional, Sequence

from .._redis import TRANSIENT, Command, Reply, ReplyError
from .connection import HeldConnection
from .dead_letter_script import Letter, clear_letters
from .deployment import Deployment, granted
from .rights import refuse_missing

__all__ = ["LetterSteps"]

_PAGE = 200
_BYTES = 1 << 20
# A step that holds the server for longer is followed by a smaller page.
_SLOW = 0.02
_SMALLEST = 20
# After so many transactions of this size that a new letter broke, it is no longer watched for.
_FEW = 5
_TRIES = 3


class LetterSteps:
    """Carries out what is to be done to dead letters.

    Where the user may run scripts, a step is a script; else a transaction that watches the list
    and the documents, and is tried again with fewer letters when they change meanwhile.

    Args:
        deployment: Whose letters they are.
        task: What is done, for messages, as in ``delete dead letters``.

    Attributes:
        size: How many letters a page should have.
    """

    def __init__(self, deployment: Deployment, task: str) -> None:
        self._connection = deployment.connection
        self._keys = deployment.keys
        self._task = task
        self._mark = f"mark of {uuid.uuid4()}".encode()
        self._has_scripts: Optional[bool] = None
        self._watches_list = True
        self._most = _PAGE
        self._failures = 0
        self._round_trip = float("inf")
        self.size = _PAGE

    async def carry_out(self, letters: Sequence[Letter]) -> List[Letter]:
        """Do it in steps of at most 1 MiB; return those of the first letters that went.

        Fewer than all is a sign that somebody else has changed the list.
        """
        if self._has_scripts is None:
            self._has_scripts = await self._may_run_scripts()
        done: List[Letter] = []
        begin = 0
        while begin < len(letters):
            end, total = begin, 0
            while end < len(letters) and (end == begin or total < _BYTES):
                if end - begin >= self._most:
                    break
                total += len(letters[end].document or b"")
                end += 1
            # What went before stood to the right, and has moved these to the right.
            went = await self._step(
                [one._replace(place=one.place + len(done)) for one in letters[begin:end]]
            )
            if went is None:
                continue
            done += went
            if len(went) < end - begin:
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
            refuse_missing([command], [reply], self._task)
        return not isinstance(reply, ReplyError)

    async def _step(self, letters: Sequence[Letter]) -> Optional[List[Letter]]:
        """Carry out one step, and return those that went; None where it has to be tried again."""
        carry_out = self._by_script if self._has_scripts else self._by_transaction
        went = await carry_out(letters)
        if went is None:
            self._failures += 1
            self._most = max(_FEW, self._most // 2)
            if self._most == _FEW and self._failures >= _TRIES:
                self._watches_list = False
            return None
        self._failures = 0
        self._most = min(_PAGE, 2 * self._most) if self._watches_list else _SMALLEST
        return went

    async def _by_script(self, letters: Sequence[Letter]) -> Optional[List[Letter]]:
        script = clear_letters(self._keys, letters, self._mark)
        await script.check_rights(self._connection, self._task)
        now = asyncio.get_running_loop().time
        began = now()
        numbers = await script.run(self._connection, self._task)
        elapsed = now() - began
        self._round_trip = min(self._round_trip, elapsed)
        if elapsed - self._round_trip > _SLOW:
            self.size = max(_SMALLEST, self.size // 2)
        else:
            self.size = min(_PAGE, self.size * 2)
        return [letters[number - 1] for number in numbers]

    # -- without scripts -------------------------------------------------------------------------

    async def _by_transaction(self, letters: Sequence[Letter]) -> Optional[List[Letter]]:
        """Return which went; None where the list or a document has changed meanwhile."""
        async with self._connection.exclusive() as held:
            unchanged = await self._watch(held, letters)
            if not unchanged:
                return []
            begin: List[Command] = [(b"MULTI",)]
            # Sent alone: if it is refused, the commands after it would run one by one.
            refuse_missing(begin, await held.run(begin), self._task)
            commands = [*self._commands(unchanged), (b"EXEC",)]
            replies = await held.run(commands)
        done = replies[-1]
        if done is None:
            return None
        refuse_missing(commands, replies, self._task)
        granted(done, self._task)
        if self._watches_list:
            return unchanged
        size = (len(commands) - 1) // len(unchanged)
        return [one for at, one in enumerate(unchanged) if done[at * size]]

    async def _watch(self, held: HeldConnection, letters: Sequence[Letter]) -> List[Letter]:
        """Watch all that must not change, and return which letters are as they were read."""
        dead = self._keys.dead
        names = [self._keys.document(one.member) for one in letters]
        documents: List[Command] = [(b"GET", name) for name in names]
        places: List[Command] = []
        if self._watches_list:
            places = [(b"LINDEX", dead, one.place) for one in letters]
            names.append(dead)
        # Otherwise a key that is not a list would fail only inside the transaction.
        targets = dict.fromkeys(one.target for one in letters if one.target is not None)
        lists: List[Command] = [(b"LLEN", target) for target in targets]
        commands = [(b"WATCH", *names), *documents, *places, *lists]
        replies = await held.run(commands)
        other = [None if _is_no_document(*one) else one[1] for one in zip(commands, replies)]
        refuse_missing(commands, other, self._task)
        texts = replies[1 : len(letters) + 1]
        found = replies[len(letters) + 1 :] if places else [one.member for one in letters]
        return [
            one
            for one, text, member in zip(letters, texts, found)
            if text == one.document and member == one.member
        ]

    def _commands(self, letters: Sequence[Letter]) -> List[Command]:
        dead, commands = self._keys.dead, []
        for one in letters:
            job, result = self._keys.document(one.member), self._keys.stored_result(one.member)
            taken: Command = (b"LREM", dead, -1, one.member)
            if self._watches_list:
                taken = (b"LSET", dead, one.place, self._mark)
            commands.append(taken)
            if one.target is None:
                commands.append((b"DEL", job, result))
            else:
                commands += [
                    (b"SET", job, one.renewed()),
                    (b"DEL", result),
                    (b"LPUSH", one.target, one.member),
                ]
        if self._watches_list:
            commands.append((b"LREM", dead, -len(letters), self._mark))
        return commands


def _is_no_document(command: Command, reply: Reply) -> bool:
    """Whether what was read is of another type."""
    is_refused = command[0] == b"GET" and isinstance(reply, ReplyError)
    return is_refused and reply.code == "WRONGTYPE"
