"""Recovery of lost replies: fence the old connection, look, and only then tell or send again."""

from __future__ import annotations

from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .. import exceptions as exc
from .._redis import Command, Connection, Reply, ReplyError
from ..models import Job
from .transaction import Entry, Outcomes, Transaction

__all__ = ["LinkFacts", "LostLink", "Settlement", "is_replica"]


class LinkFacts(NamedTuple):
    """What a connection has learned of the server, and the server's process, it leads to.

    Attributes:
        client_id: The server's number for the connection; None where it tells none.
        run_id: Names the server's process; None where it tells none.
        role: ``master``, ``slave`` or the like; None where it tells none.
        no_transactions: Why MULTI and EXEC may not be used, if they may not.
    """

    client_id: Optional[int] = None
    run_id: Optional[str] = None
    role: Optional[str] = None
    no_transactions: Optional[ReplyError] = None

    @classmethod
    def of(cls, connection: Connection[Any]) -> LinkFacts:
        """Return what a connection has learned."""
        return cls(
            connection.client_id,
            connection.run_id,
            connection.role,
            connection.no_transactions,
        )


def is_replica(facts: LinkFacts) -> bool:
    """Whether a server is a replica: it can't tell what its primary may still apply."""
    return facts.role not in (None, "master")


class LostLink:
    """A connection that was lost while commands that write had no reply.

    A request that is still on its way could be applied after we looked, or after its caller has
    sent it again: the old connection has to be ended first, whether anybody still waits or not.

    Args:
        facts: Of the connection that was lost.
        transactions: Those that were on their way.
        after: The number of the last connection that is not younger than the lost one.
    """

    def __init__(self, facts: LinkFacts, transactions: Sequence[Transaction], after: int) -> None:
        self._facts = facts
        self._is_killed = False
        self.transactions = transactions
        self.after = after

    def commands(self, facts: LinkFacts) -> List[Command]:
        """Return the commands that fence the old connection and look for its entries.

        The server ends the old connection before it looks: it takes our commands in their order.
        They look for those, too, that nobody waits for any more: what EXEC has left of them is in
        the way of a caller who submits again.
        """
        fence = self._fence(facts)
        self._is_killed = fence is not None
        commands: List[Command] = [] if fence is None else [fence]
        for transaction in self.transactions:
            verb = b"GET" if transaction.is_watched else b"EXISTS"
            commands.extend((verb, entry.key) for entry in _looked_at(transaction))
            commands.extend((b"TYPE", target) for target in transaction.targets)
        return commands

    def _fence(self, facts: LinkFacts) -> Optional[Command]:
        """Return the command that ends the old connection, where that can be done.

        In another server process the number belongs to nobody, or to another client. The numbers
        of one process only grow, and this connection is the younger: if it does not have the higher
        number, a proxy in between gives out numbers of its own.
        """
        old = self._facts
        if old.run_id is None or old.run_id != facts.run_id:
            return None
        if old.client_id is None or facts.client_id is None or facts.client_id <= old.client_id:
            return None
        return (b"CLIENT", b"KILL", b"ID", old.client_id)

    def judge(
        self, replies: Iterator[Reply], facts: LinkFacts
    ) -> Iterator[Tuple[Transaction, Outcomes]]:
        """Take the replies to the commands; yield what became of each transaction."""
        is_fenced = self._is_fenced(replies, facts)
        for transaction in self.transactions:
            yield transaction, _judge(transaction, replies, is_fenced=is_fenced)

    def _is_fenced(self, replies: Iterator[Reply], facts: LinkFacts) -> bool:
        """Whether nothing that was sent on the old connection can be applied any more."""
        old = self._facts
        if self._is_killed:  # or was gone: 0 says so, or an error
            killed = next(replies)
            return not isinstance(killed, ReplyError) or "No such client" in killed.text
        if old.run_id is None or facts.run_id is None or old.run_id == facts.run_id:
            return False
        return facts.role == "master"  # the process that could have applied it is another one


def _looked_at(transaction: Transaction) -> Sequence[Entry]:
    """Return the entries whose documents are looked for.

    A transaction is all or nothing, so that one document of it speaks for all, unless one may be
    somebody else's.
    """
    return transaction.entries if transaction.is_watched else transaction.entries[:1]


def _judge(transaction: Transaction, replies: Iterator[Reply], *, is_fenced: bool) -> Outcomes:
    """Say what became of a transaction whose reply was lost.

    Args:
        transaction: The transaction.
        replies: To the look for it.
        is_fenced: Whether the old connection can't apply anything any more.
    """
    seen = [next(replies) for _ in _looked_at(transaction)]
    kinds = dict(zip(transaction.targets, replies))
    outcomes = Outcomes()
    queued: List[Entry] = []
    existing: List[Entry] = []
    absent: List[Entry] = []
    unknown: List[Entry] = []
    undo: List[Command] = []
    for at, entry in enumerate(transaction.entries):
        reply, kind = seen[at if transaction.is_watched else 0], kinds[entry.target]
        if isinstance(reply, ReplyError):
            unknown.append(entry)  # without the right to look nothing is known
        elif not reply:
            (absent if is_fenced else unknown).append(entry)
        elif transaction.is_watched and not _is_ours(entry, reply):
            existing.append(entry)
        elif isinstance(kind, ReplyError) or kind in (b"none", _kind_of(entry)):
            queued.append(entry)
        else:
            # EXEC stored the document but could not push the id. It does not roll back.
            text = f"{entry.target.decode()} holds the wrong kind of value"
            outcomes.reject([entry], ReplyError("WRONGTYPE", text))
            undo.append((b"DEL", entry.key))
    outcomes.queued, outcomes.existing, outcomes.unknown = queued, existing, unknown
    outcomes.again, outcomes.undo = [absent] if absent else [], undo
    return outcomes


class Settlement:
    """What is to be known, and undone, before anything else is sent.

    Args:
        undo: Commands that take back what a rejected job left.
        lost: Connections that were lost with something on its way.
        ask: Whether to ask the server if it is ready, too: what is under way at its deadline while
            a script runs would have an unknown outcome.
    """

    def __init__(
        self, undo: Sequence[Command], lost: Sequence[LostLink], *, ask: bool = False
    ) -> None:
        self.undo = list(undo)
        self.lost = list(lost)
        self._ask = ask

    def silence(self, otherwise: float) -> float:
        """Return for how many seconds the connection may be silent.

        Args:
            otherwise: What to return where the outcome of no submit is to be found out.
        """
        entries = (
            entry for link in self.lost for one in link.transactions for entry in one.entries
        )
        return min((entry.owner.silence for entry in entries), default=otherwise)

    def commands(self, facts: LinkFacts) -> List[Command]:
        """Return the commands."""
        commands = list(self.undo)
        for link in self.lost:
            commands.extend(link.commands(facts))
        if self._ask:
            commands.append((b"PING",))
        return commands

    def judge(
        self, replies: Sequence[Reply], facts: LinkFacts
    ) -> Iterator[Tuple[Transaction, Outcomes]]:
        """Yield what became of each transaction."""
        rest = iter(replies[len(self.undo) :])
        for link in self.lost:
            yield from link.judge(rest, facts)


def _kind_of(entry: Entry) -> bytes:
    return b"list" if entry.score is None else b"zset"


def _is_ours(entry: Entry, document: bytes) -> bool:
    """Whether a document is the one that was sent, though a worker may have rewritten it since."""
    try:
        return Job.from_json(document).created_at == Job.from_json(entry.document).created_at
    except exc.SerializationError:
        return False
