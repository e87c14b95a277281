"""What goes out as one pipeline: the limits of a batch, its commands, and whose each reply is."""

from __future__ import annotations

from typing import Deque, List, Optional, Sequence, Tuple

from .._redis import Command, Reply, ReplyError
from .idempotent import Existence, Look
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
        watched: The transaction of idempotent submits whose keys are watched; it goes first.
        unwatch: Whether keys are watched that no transaction follows for.
        transactions: Submits of jobs whose ids are ours.
        calls: Commands that may be sent again.
        look: Looks for the jobs of idempotent submits, and watches them.
        requests: How many requests it is for; those of a look count once more when they are queued.
        size: Bytes to be written, roughly.
        silence: For how many seconds the connection may be silent.
        outcomes: Of each transaction; None where every entry is queued.
        watched_outcomes: Of the watched transaction; None where it was aborted.
        existence: What the look has found.
        answers: The replies to each call.
        refusal: Why the marker was refused; then so was the rest, or it can't be told.
        is_judged: Whether the replies were judged.
        is_clean: Whether no transaction was refused, and none aborted.
        leaves_transaction: Whether the connection may still be inside a transaction.
    """

    __slots__ = (
        "answers",
        "calls",
        "existence",
        "is_clean",
        "is_judged",
        "leaves_transaction",
        "look",
        "outcomes",
        "refusal",
        "requests",
        "silence",
        "size",
        "transactions",
        "unwatch",
        "watched",
        "watched_outcomes",
    )

    def __init__(self) -> None:
        self.watched: Optional[Transaction] = None
        self.unwatch = False
        self.transactions: Tuple[Transaction, ...] = ()
        self.calls: Sequence[Call] = ()
        self.look: Optional[Look] = None
        self.requests = 0
        self.size = 0
        self.silence = float("inf")
        # Once it is judged:
        self.outcomes: Sequence[Optional[Outcomes]] = ()
        self.watched_outcomes: Optional[Outcomes] = None
        self.existence: Optional[Existence] = None
        self.answers: Sequence[List[Reply]] = ()
        self.refusal: Optional[ReplyError] = None
        self.is_judged = False
        self.is_clean = True
        self.leaves_transaction = False

    def __bool__(self) -> bool:
        return bool(self.calls or self.transactions or self.watched or self.look)

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
            self.transactions = (*self.transactions, Transaction(entries))
        return idempotent

    def add_group(self, entries: Sequence[Entry]) -> None:
        """Take entries in that are to be sent once more, as a transaction of their own."""
        self.transactions = (*self.transactions, Transaction(entries))
        self._note_entries(entries)

    def add_look(self, entries: Sequence[Entry]) -> None:
        """Look for the jobs of idempotent submits."""
        self.look = Look(entries)
        self._note_owners(entries)

    def add_watched(self, entries: Sequence[Entry]) -> None:
        """Queue entries whose keys are watched."""
        self.watched = Transaction(entries)
        self._note_entries(entries)

    def _note_entries(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.size += len(entry.document)
        self._note_owners(entries)

    def _note_owners(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.requests += 1
            self.silence = min(self.silence, entry.owner.silence)

    # -- what goes out ---------------------------------------------------------------------------

    @property
    def needs_marker(self) -> bool:
        """Whether its replies say nothing of what they answer; those of a transaction do."""
        return bool(self.calls or self.look)

    @property
    def writes(self) -> bool:
        """Whether any of it must not be applied late."""
        return bool(self.transactions or self.watched) or any(call.writes for call in self.calls)

    def commands(self) -> List[Command]:
        """Return the commands."""
        commands: List[Command] = []
        if self.watched is not None:
            commands.extend(self.watched.commands())
        elif self.unwatch:
            commands.append((b"UNWATCH",))
        for transaction in self.transactions:
            commands.extend(transaction.commands())
        for call in self.calls:
            commands.extend(call.commands)
        if self.look is not None:
            commands.extend(self.look.commands())
        return commands

    # -- what came back --------------------------------------------------------------------------

    def judge(self, replies: List[Reply]) -> bool:
        """Note what the replies mean.

        Returns:
            False where they can't be the replies to this batch.
        """
        self.is_judged = True
        at = 0
        if self.watched is not None:
            at = self.watched.reply_count
            if not self._judge_watched(self.watched, replies[:at]):
                return False
        elif self.unwatch:
            at = 1
        outcomes: List[Optional[Outcomes]] = []
        for transaction in self.transactions:
            end = at + transaction.reply_count
            answer = replies[at:end]
            at = end
            if transaction.is_queued(answer):
                outcomes.append(None)
            elif not self._note(transaction.judge(answer), outcomes):
                return False
        self.outcomes = outcomes
        if self.calls:
            at = self._divide(replies, at)
        if self.look is not None:
            self.existence = self.look.judge(replies[at : at + self.look.reply_count])
        return True

    def _judge_watched(self, transaction: Transaction, replies: List[Reply]) -> bool:
        if transaction.is_aborted(replies):
            self.is_clean = False
            return True
        self.watched_outcomes = transaction.judge(replies)
        return self._note(self.watched_outcomes, [])

    def _note(self, found: Optional[Outcomes], outcomes: List[Optional[Outcomes]]) -> bool:
        if found is None:
            return False
        self.is_clean = self.is_clean and found.is_clean
        self.leaves_transaction = self.leaves_transaction or found.in_transaction
        outcomes.append(found)
        return True

    def _divide(self, replies: List[Reply], at: int) -> int:
        """Give each call its replies; return where the rest begins."""
        answers: List[List[Reply]] = []
        for call in self.calls:
            end = at + len(call.commands)
            answers.append(replies[at:end])
            at = end
        self.answers = answers
        return at

    def leave_transaction(self) -> List[Command]:
        """Return the command that leaves a transaction which the connection may still be inside."""
        return [(b"DISCARD",)] if self.leaves_transaction else []

    @property
    def has_ended_any(self) -> bool:
        """Whether any caller was told anything, as far as a look alone does not decide."""
        found = self.existence
        return bool(
            self.calls
            or self.transactions
            or self.watched_outcomes
            or (found is not None and found.existing)
        )

    def sent_groups(self) -> List[Tuple[Sequence[Entry], bool]]:
        """Return the entries of each transaction, and whether they are idempotent."""
        groups: List[Tuple[Sequence[Entry], bool]] = [
            (transaction.entries, False) for transaction in self.transactions
        ]
        if self.watched is not None:
            groups.append((self.watched.entries, True))
        return groups
