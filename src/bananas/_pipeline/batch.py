"""What goes out as one pipeline: the limits of a batch, its commands, and whose each reply is."""

from __future__ import annotations

from typing import Deque, List, Optional, Sequence

from .._redis import Command, Reply
from .idempotent import ExistenceCheck
from .requests import Call, Request, Submit
from .transaction import Entry, Outcomes, Transaction

__all__ = ["BATCH_BYTES", "BATCH_COMMANDS", "Batch"]

# A batch takes no more requests once it has reached one of these. A larger one would hold up Redis,
# and with it everybody, and would cost no less for each job.
BATCH_COMMANDS = 1000
BATCH_BYTES = 1 << 20


class Batch:
    """Commands of many requests, in the order in which they are sent.

    Attributes:
        unwatch: Whether UNWATCH goes first: keys are watched, and no transaction follows.
        transactions: Submits; first those of jobs that were looked for, whose keys are watched.
        calls: Commands that may be sent again.
        check: Whether the jobs of idempotent submits exist; watches them.
        requests: How many requests it is for; those of a check count again when they are queued.
        size: Bytes to be written, roughly.
        silence: For how many seconds the connection may be silent.
        outcomes: Of each transaction; None until the replies were judged.
        found: What the check has found.
        answers: The replies to each call.
        is_clean: Whether no transaction was refused, and none aborted.
        leaves_transaction: Whether the connection may still be inside a transaction.
    """

    __slots__ = ("answers", "calls", "check", "found", "is_clean", "leaves_transaction", "outcomes",
                 "requests", "silence", "size", "transactions", "unwatch")  # fmt: skip

    def __init__(self) -> None:
        self.unwatch = False
        self.transactions: List[Transaction] = []
        self.calls: Sequence[Call] = ()
        self.check: Optional[ExistenceCheck] = None
        self.requests = 0
        self.size = 0
        self.silence = float("inf")
        self.outcomes: Optional[List[Outcomes]] = None
        self.found: Optional[Outcomes] = None
        self.answers: Sequence[List[Reply]] = ()
        self.is_clean = True
        self.leaves_transaction = False

    def __bool__(self) -> bool:
        return bool(self.calls or self.transactions or self.check)

    # -- what goes in ----------------------------------------------------------------------------

    def fill(self, waiting: Deque[Request], *, most_requests: int) -> List[Entry]:
        """Take requests that wait, up to the limits.

        Returns:
            The entries of idempotent submits, which have to be looked for first.
        """
        entries: List[Entry] = []
        idempotent: List[Entry] = []
        calls: List[Call] = []
        count = size = 0
        while waiting and count < BATCH_COMMANDS and size < BATCH_BYTES:
            if self.requests >= most_requests:
                break
            request = waiting.popleft()
            if request.future.done():
                continue
            self.requests += 1
            if request.silence < self.silence:
                self.silence = request.silence
            if request.__class__ is Submit:
                (idempotent if request.idempotent else entries).extend(request.entries)
                count += request.left
                for entry in request.entries:
                    size += len(entry.document)
            else:
                assert isinstance(request, Call)
                calls.append(request)
                count += len(request.commands)
                size += request.size
        self.size += size
        self.calls = calls
        if entries:
            self.transactions.append(Transaction(entries))
        return idempotent

    def add(self, entries: Sequence[Entry], *, are_watched: bool = False) -> None:
        """Take in entries that are queued in a transaction of their own."""
        self.transactions.append(Transaction(entries, is_watched=are_watched))
        self.size += sum(len(entry.document) for entry in entries)
        self._count(entries)

    def add_check(self, entries: Sequence[Entry]) -> None:
        """Check whether the jobs of idempotent submits exist."""
        self.check = ExistenceCheck(entries)
        self._count(entries)

    def _count(self, entries: Sequence[Entry]) -> None:
        self.requests += len(entries)
        self.silence = min([self.silence, *(entry.owner.silence for entry in entries)])

    # -- what goes out ---------------------------------------------------------------------------

    @property
    def needs_marker(self) -> bool:
        """Whether its replies say nothing of what they answer; those of a transaction do."""
        return bool(self.calls or self.check)

    @property
    def writes(self) -> bool:
        """Whether any of it must not be applied late."""
        return bool(self.transactions) or any(call.writes for call in self.calls)

    def commands(self) -> List[Command]:
        """Return the commands."""
        commands: List[Command] = [(b"UNWATCH",)] if self.unwatch else []
        for transaction in self.transactions:
            commands.extend(transaction.commands())
        for call in self.calls:
            commands.extend(call.commands)
        if self.check is not None:
            commands.extend(self.check.commands())
        return commands

    # -- what came back --------------------------------------------------------------------------

    def judge(self, replies: List[Reply]) -> bool:
        """Note what the replies mean.

        Returns:
            False where they can't be the replies to this batch.
        """
        self.outcomes = []
        at = int(self.unwatch)
        for transaction in self.transactions:
            end = at + transaction.reply_count
            outcomes = transaction.judge(replies[at:end])
            if outcomes is None:
                return False
            self.outcomes.append(outcomes)
            if not outcomes.is_clean:
                self.is_clean = False
                self.leaves_transaction = self.leaves_transaction or outcomes.in_transaction
            at = end
        answers: List[List[Reply]] = []
        for call in self.calls:
            end = at + len(call.commands)
            answers.append(replies[at:end])
            at = end
        self.answers = answers
        if self.check is not None:
            self.found = self.check.judge(replies[at:])
        return True

    @property
    def has_ended_any(self) -> bool:
        """Whether any caller was told anything, as far as a check alone does not decide."""
        return bool(self.calls or self.transactions or (self.found and self.found.existing))
