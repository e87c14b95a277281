"""Turns submits into one transaction, and its replies into a verdict on each submit."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from ._protocol import TRANSIENT, Reply, ReplyError
from ._redis import Command

__all__ = ["Entry", "Transaction", "Verdicts", "is_applied"]

# MULTI, MSET, LPUSH or ZADD, and EXEC; an integer follows, the list's length or the number added.
_APPLIED = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:"


class Entry:
    """One job on its way into Redis.

    Attributes:
        job_id: The job.
        member: Its id in bytes, as it goes into a list or a sorted set.
        key: Where its document goes.
        document: The document's bytes.
        target: The list or sorted set that its id goes into.
        score: The due time in whole Unix seconds for the sorted set; None for a list.
        owner: The request that brought it, for whoever carries the verdict back.
    """

    __slots__ = ("document", "job_id", "key", "member", "owner", "score", "target")

    owner: Any

    def __init__(
        self,
        job_id: str,
        member: bytes,
        key: bytes,
        document: bytes,
        target: bytes,
        score: Optional[int] = None,
    ) -> None:
        self.job_id: str = job_id
        self.member: bytes = member
        self.key: bytes = key
        self.document: bytes = document
        self.target: bytes = target
        self.score: Optional[int] = score

    def __repr__(self) -> str:
        return f"Entry({self.job_id!r})"


class Verdicts:
    """What became of the entries of a transaction.

    Attributes:
        applied: Queued.
        rejected: Refused, each with the reply that says why; nothing of them may stay behind.
        again: Not applied through no fault of their own; each group is worth a transaction.
        transient: The reason why nothing was applied, where it passes.
        undo: Commands that take back what a rejected entry left.
        unfinished: Whether the connection may still be inside of the transaction.
    """

    __slots__ = ("again", "applied", "rejected", "transient", "undo", "unfinished")

    def __init__(self) -> None:
        self.applied: List[Entry] = []
        self.rejected: List[Tuple[Entry, ReplyError]] = []
        self.again: List[List[Entry]] = []
        self.transient: Optional[ReplyError] = None
        self.undo: List[Command] = []
        self.unfinished = False

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to be done but to tell those whose entries were applied."""
        return not (self.rejected or self.again or self.undo or self.transient)


class Transaction:
    """MULTI, one MSET of the documents, one LPUSH for each list, one ZADD, EXEC.

    The documents come first: a worker that finds an id without a document dead-letters it at once,
    and the scheduler leaves it in its set for ever.
    """

    __slots__ = ("_targets", "entries")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self._targets: Dict[bytes, List[Entry]] = {}
        for entry in entries:
            group = self._targets.get(entry.target)
            if group is None:
                self._targets[entry.target] = [entry]
            else:
                group.append(entry)

    @property
    def reply_count(self) -> int:
        """How many replies the commands bring."""
        return 3 + len(self._targets)

    def commands(self) -> List[Command]:
        """Return the commands, the ids of each list in the order of the entries."""
        documents: List[bytes] = [b"MSET"]
        for entry in self.entries:
            documents.append(entry.key)
            documents.append(entry.document)
        commands: List[Command] = [(b"MULTI",), tuple(documents)]
        for target, group in self._targets.items():
            if group[0].score is None:
                commands.append((b"LPUSH", target, *[entry.member for entry in group]))
            else:
                pairs = [part for entry in group for part in (str(entry.score), entry.member)]
                commands.append((b"ZADD", target, *pairs))
        commands.append((b"EXEC",))
        return commands

    def verdicts(self, replies: Sequence[Reply]) -> Optional[Verdicts]:
        """Judge the replies; None where they can't be the replies to this transaction."""
        outcome = replies[-1]
        found = Verdicts()
        if isinstance(outcome, ReplyError):
            if isinstance(replies[0], ReplyError):
                self._judge_bare(replies[0], found)
            else:
                self._judge_aborted(outcome, replies[1:-1], found)
            return found
        queued = replies[0] == b"OK" and all(reply == b"QUEUED" for reply in replies[1:-1])
        if not queued or not isinstance(outcome, list) or len(outcome) != len(self._targets) + 1:
            return None
        if not any(isinstance(reply, ReplyError) for reply in outcome):
            found.applied.extend(self.entries)
        else:
            self._judge_partial(outcome, found)
        return found

    def _judge_bare(self, reason: ReplyError, found: Verdicts) -> None:
        """MULTI refused: whatever else the user may do was done at once."""
        found.rejected.extend((entry, reason) for entry in self.entries)
        found.undo.extend(_take_back(entry.target, entry) for entry in self.entries)
        found.undo.append((b"DEL", *[entry.key for entry in self.entries]))

    def _judge_aborted(self, outcome: ReplyError, queued: Sequence[Reply], found: Verdicts) -> None:
        """EXEC refused: nothing was applied. Blame the command that was not taken."""
        found.unfinished = outcome.code != "EXECABORT"  # a server without EXEC, say
        errors = [(at, reply) for at, reply in enumerate(queued) if isinstance(reply, ReplyError)]
        reason = errors[0][1] if errors else outcome.reason
        if reason.code in TRANSIENT:
            found.transient = reason
            found.again.append(list(self.entries))
        elif reason.code == "NOPERM" and errors and errors[0][0] == 0 and len(self.entries) > 1:
            # A right to some documents only: each entry has to be tried for itself.
            found.again.extend([entry] for entry in self.entries)
        elif errors and errors[0][0] > 0:
            refused = {at - 1: reply for at, reply in errors}
            rest: List[Entry] = []
            for at, group in enumerate(self._targets.values()):
                if at in refused:
                    found.rejected.extend((entry, refused[at]) for entry in group)
                else:
                    rest.extend(group)
            if rest:
                found.again.append(rest)
        else:
            found.rejected.extend((entry, reason) for entry in self.entries)

    def _judge_partial(self, outcome: Sequence[Reply], found: Verdicts) -> None:
        """A command failed inside EXEC: the others were applied, and there is no rollback."""
        documents, *pushes = outcome
        for (target, group), reply in zip(self._targets.items(), pushes):
            if isinstance(reply, ReplyError):
                found.rejected.extend((entry, reply) for entry in group)
                found.undo.append((b"DEL", *[entry.key for entry in group]))
            elif isinstance(documents, ReplyError):
                found.rejected.extend((entry, documents) for entry in group)
                found.undo.extend(_take_back(target, entry) for entry in group)
            else:
                found.applied.extend(group)


def _take_back(target: bytes, entry: Entry) -> Command:
    if entry.score is None:
        return (b"LREM", target, 1, entry.member)
    return (b"ZREM", target, entry.member)


def is_applied(received: bytes) -> bool:
    """Whether these are the replies to a transaction of one entry, all of them, and it is queued.

    Where they are not, ``Transaction.verdicts`` tells more.
    """
    end = received[len(_APPLIED) :]
    return received.startswith(_APPLIED) and end.endswith(b"\r\n") and end[:-2].isdigit()
