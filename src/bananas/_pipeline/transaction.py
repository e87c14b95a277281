"""Turns submits into one transaction, and the replies to it into an outcome for each submit."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from .._redis import TRANSIENT, Command, Reply, ReplyError

__all__ = ["Entry", "Outcomes", "Transaction", "is_error", "is_passing"]


class Entry:
    """One job on its way into Redis.

    Attributes:
        job_id: The job.
        key: Where its document goes.
        document: The document's bytes.
        target: The list or sorted set that its id goes into.
        score: The due time in whole Unix seconds for the sorted set; None for a list.
        owner: The submit that it is a part of, until it has an outcome; None afterwards.
    """

    __slots__ = ("document", "job_id", "key", "owner", "score", "target")

    owner: Any

    def __init__(
        self,
        job_id: str,
        key: bytes,
        document: bytes,
        target: bytes,
        score: Optional[int] = None,
    ) -> None:
        self.job_id: str = job_id
        self.key: bytes = key
        self.document: bytes = document
        self.target: bytes = target
        self.score: Optional[int] = score

    def __repr__(self) -> str:
        return f"Entry({self.job_id!r})"


class Outcomes:
    """What became of the entries of a transaction, or of a check.

    Attributes:
        queued: Those that are queued.
        existing: Those whose job is somebody else's.
        free: Those whose job does not exist, and whose keys are watched now.
        rejected: Those that Redis refused, each with the reply that says why.
        unknown: Those that may yet be applied.
        again: Those that were not applied through no fault of their own; each group is to be sent,
            or looked for, by itself.
        passing: Why nothing was applied, where the reason passes.
        undo: Commands that take back what a rejected entry left.
        in_transaction: Whether the connection may still be inside the transaction.
    """

    # Empty tuples by default: most transactions have only queued entries.
    queued: Sequence[Entry] = ()
    existing: Sequence[Entry] = ()
    free: Sequence[Entry] = ()
    rejected: Sequence[Tuple[Entry, ReplyError]] = ()
    unknown: Sequence[Entry] = ()
    again: Sequence[List[Entry]] = ()
    passing: Optional[ReplyError] = None
    undo: Sequence[Command] = ()
    in_transaction = False

    @property
    def is_clean(self) -> bool:
        """Whether nothing was refused."""
        return not (self.rejected or self.again)

    def reject(self, entries: Sequence[Entry], reply: ReplyError) -> None:
        """Note that entries are refused for good."""
        self.rejected = [*self.rejected, *((entry, reply) for entry in entries)]

    def refuse(self, entries: Sequence[Entry], reply: ReplyError) -> None:
        """Note that nothing was applied of entries, which are tried again if the reason passes."""
        if is_passing(reply):
            self.passing = reply
            self.again = [list(entries)]
        else:
            self.reject(entries, reply)


class Transaction:
    """MULTI, one MSET of the documents, one LPUSH for each list, one ZADD, EXEC.

    The documents come first: a worker that finds an id without a document dead-letters it at once,
    and the scheduler leaves it in its set indefinitely.

    Attributes:
        entries: The jobs.
        is_watched: Whether their keys are watched, as those of idempotent submits are.
        targets: The lists and sorted sets, each with its entries.
    """

    __slots__ = ("entries", "is_watched", "targets")

    def __init__(self, entries: Sequence[Entry], *, is_watched: bool = False) -> None:
        self.entries = entries
        self.is_watched = is_watched
        self.targets: Dict[bytes, List[Entry]] = {}
        for entry in entries:
            group = self.targets.get(entry.target)
            if group is None:
                self.targets[entry.target] = [entry]
            else:
                group.append(entry)

    @property
    def reply_count(self) -> int:
        """How many replies the commands bring."""
        return 3 + len(self.targets)

    def commands(self) -> List[Command]:
        """Return the commands, the ids of each list in the order of the entries."""
        documents: List[bytes] = [b"MSET"]
        for entry in self.entries:
            documents.append(entry.key)
            documents.append(entry.document)
        commands: List[Command] = [(b"MULTI",), tuple(documents)]
        for target, group in self.targets.items():
            if group[0].score is None:
                commands.append((b"LPUSH", target, *[entry.job_id for entry in group]))
            else:
                pairs = [part for entry in group for part in (str(entry.score), entry.job_id)]
                commands.append((b"ZADD", target, *pairs))
        commands.append((b"EXEC",))
        return commands

    # -- what the replies mean -------------------------------------------------------------------

    def judge(self, replies: Sequence[Reply]) -> Optional[Outcomes]:
        """Judge the replies; None where they can't be the replies to this transaction."""
        done = replies[-1]
        if done.__class__ is ReplyError:
            return self._judge_refused(replies)
        if replies[0] != b"OK" or replies.count(b"QUEUED") != len(replies) - 2:
            return None
        outcomes = Outcomes()
        if done is None and self.is_watched:  # somebody else was faster with one of the jobs
            outcomes.again = [list(self.entries)]
        elif done.__class__ is not list or len(done) != len(self.targets) + 1:
            return None
        elif ReplyError in map(type, done):
            self._judge_partial(done, outcomes)
        else:
            outcomes.queued = self.entries
        return outcomes

    def _judge_partial(self, done: Sequence[Reply], outcomes: Outcomes) -> None:
        """A command failed inside EXEC: the others were applied, and there is no rollback."""
        documents, *pushes = done
        queued: List[Entry] = []
        undo: List[Command] = []
        for (target, group), reply in zip(self.targets.items(), pushes):
            if isinstance(reply, ReplyError):
                outcomes.reject(group, reply)
                undo.append((b"DEL", *[entry.key for entry in group]))
            elif isinstance(documents, ReplyError):
                outcomes.reject(group, documents)
                undo.extend(_take_back(target, entry) for entry in group)
            else:
                queued.extend(group)
        outcomes.queued, outcomes.undo = queued, undo

    def _judge_refused(self, replies: Sequence[Reply]) -> Outcomes:
        """The last reply is an error: nothing was applied, unless MULTI was refused."""
        outcomes = Outcomes()
        multi, *taken, last = replies
        if isinstance(multi, ReplyError):
            self._judge_without_multi(multi, taken, outcomes)
        else:
            outcomes.in_transaction = last.code != "EXECABORT"
            self._judge_aborted(last.reason, taken, outcomes)
        return outcomes

    def _judge_without_multi(
        self, reason: ReplyError, done: Sequence[Reply], outcomes: Outcomes
    ) -> None:
        """MULTI refused: whatever else the user may do was done at once."""
        if all(map(is_error, done)):
            outcomes.refuse(self.entries, reason)
            return
        outcomes.reject(self.entries, reason)
        pushed = [_take_back(entry.target, entry) for entry in self.entries]
        outcomes.undo = [*pushed, (b"DEL", *[entry.key for entry in self.entries])]

    def _judge_aborted(
        self, reason: ReplyError, taken: Sequence[Reply], outcomes: Outcomes
    ) -> None:
        """EXEC refused. Blame the command that was not taken."""
        documents, *pushes = taken
        errors = [reply for reply in taken if isinstance(reply, ReplyError)]
        if errors:
            reason = errors[0]
        if is_passing(reason) or not errors:
            outcomes.refuse(self.entries, reason)
        elif not isinstance(documents, ReplyError):
            self._blame_targets(pushes, outcomes)
        elif reason.code == "NOPERM" and len(self.entries) > 1:
            # The user may write only some documents: try each entry alone.
            outcomes.again = [[entry] for entry in self.entries]
        else:
            outcomes.refuse(self.entries, reason)

    def _blame_targets(self, pushes: Sequence[Reply], outcomes: Outcomes) -> None:
        rest: List[Entry] = []
        for group, reply in zip(self.targets.values(), pushes):
            if isinstance(reply, ReplyError):
                outcomes.reject(group, reply)
            else:
                rest.extend(group)
        if rest:
            outcomes.again = [rest]


def is_error(reply: Reply) -> bool:
    """Whether a reply is an error."""
    return isinstance(reply, ReplyError)


def is_passing(reply: Reply) -> bool:
    """Whether a reply is an error that passes."""
    return isinstance(reply, ReplyError) and reply.code in TRANSIENT


def _take_back(target: bytes, entry: Entry) -> Command:
    if entry.score is None:
        return (b"LREM", target, 1, entry.job_id)
    return (b"ZREM", target, entry.job_id)
