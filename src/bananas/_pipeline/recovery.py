"""Recovery of lost replies: fence the old connection, look, and only then tell or send again."""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Tuple

from .. import exceptions as exc
from .._redis import Command, Reply, ReplyError
from ..models import Job
from .transaction import Entry, Outcomes

__all__ = ["LinkFacts", "LostGroup", "LostLink", "Recovered", "Settlement", "is_replica"]


class LinkFacts:
    """What a connection has learned of the server, and the server's process, it leads to.

    Attributes:
        client_id: The server's number for the connection; None where it tells none.
        run_id: Names the server's process; None where it tells none.
        role: ``master``, ``slave`` or the like; None where it tells none.
        no_transactions: Why MULTI and EXEC may not be used, if they may not.
        serial: Grows with every connection that this pipeline has had.
    """

    __slots__ = ("client_id", "no_transactions", "role", "run_id", "serial")

    def __init__(
        self,
        client_id: Optional[int] = None,
        run_id: Optional[str] = None,
        role: Optional[str] = None,
        no_transactions: Optional[ReplyError] = None,
    ) -> None:
        self.client_id = client_id
        self.run_id = run_id
        self.role = role
        self.no_transactions = no_transactions
        self.serial = 0


def is_replica(facts: LinkFacts) -> bool:
    """Whether a server has a primary: what it says proves nothing of what that will apply."""
    return facts.role not in (None, "master")


class LostGroup:
    """Entries of one transaction whose reply was lost.

    Attributes:
        entries: The entries; those without an owner have been told.
        idempotent: Whether the document of an entry may be somebody else's.
    """

    __slots__ = ("_kinds", "_looked_at", "entries", "idempotent")

    def __init__(self, entries: Sequence[Entry], *, idempotent: bool) -> None:
        self.entries = entries
        self.idempotent = idempotent
        self._looked_at: List[Entry] = []
        self._kinds: List[bytes] = []

    def commands(self) -> List[Command]:
        """Return the commands that look for the entries.

        They look for those, too, that nobody waits for any more: what EXEC has left of them is in
        the way of a caller who submits again.
        """
        self.entries = [entry for entry in self.entries if entry.owner is not None]
        # A transaction is all or nothing, so that one document of it speaks for all.
        self._looked_at = list(self.entries if self.idempotent else self.entries[:1])
        self._kinds = list(dict.fromkeys(entry.target for entry in self.entries))
        verb = b"GET" if self.idempotent else b"EXISTS"
        commands: List[Command] = [(verb, entry.key) for entry in self._looked_at]
        commands.extend((b"TYPE", target) for target in self._kinds)
        return commands

    @property
    def reply_count(self) -> int:
        """How many replies the commands bring."""
        return len(self._looked_at) + len(self._kinds)

    def judge(self, replies: Sequence[Reply], *, fenced: bool) -> Recovered:
        """Say what became of the entries.

        Args:
            replies: To the commands.
            fenced: Whether the old connection can't apply anything any more.
        """
        count = len(self._looked_at)
        kinds = dict(zip(self._kinds, replies[count:]))
        seen = replies[:count] if self.idempotent else list(replies[:1]) * len(self.entries)
        recovered = Recovered()
        absent: List[Entry] = []
        for entry, reply in zip(self.entries, seen):
            if isinstance(reply, ReplyError):
                recovered.unknown.append(entry)  # without the right to look nothing is known
            elif not reply:
                absent.append(entry)
            else:
                self._judge_present(entry, reply, kinds[entry.target], recovered)
        if not fenced:
            recovered.unknown.extend(absent)
        elif absent:
            recovered.outcomes.again.append(absent)
        return recovered

    def _judge_present(
        self, entry: Entry, document: Reply, kind: Reply, recovered: Recovered
    ) -> None:
        outcomes = recovered.outcomes
        if self.idempotent and not _is_ours(entry, document):
            recovered.existing.append(entry)
        elif isinstance(kind, ReplyError) or kind in (b"none", _kind_of(entry)):
            recovered.queued.append(entry)
        else:
            # EXEC stored the document and could not push the id, as it does not roll back.
            target = entry.target.decode()
            wrong = ReplyError("WRONGTYPE", f"{target} holds the wrong kind of value")
            outcomes.reject([entry], wrong)
            outcomes.undo.append((b"DEL", entry.key))


class Recovered:
    """What became of entries whose reply was lost.

    Attributes:
        outcomes: Of those of which it could be found out.
        queued: Those that are queued; a part of the outcomes.
        existing: Those whose job is somebody else's.
        unknown: Those that may yet be applied.
    """

    __slots__ = ("existing", "outcomes", "queued", "unknown")

    def __init__(self) -> None:
        self.outcomes = Outcomes()
        self.queued: List[Entry] = []
        self.outcomes.queued = self.queued
        self.existing: List[Entry] = []
        self.unknown: List[Entry] = []


class LostLink:
    """A connection that was lost with commands on their way that write.

    A request that is still on its way could be applied after we looked, or after its caller has
    sent it again: the old connection has to be ended first, whether anybody still waits or not.

    Args:
        facts: Of the connection that was lost.
        groups: The transactions that were on their way.
        after: The serial number of the last connection that is not younger than the lost one.
    """

    __slots__ = ("_facts", "_is_killed", "after", "groups")

    def __init__(
        self, facts: LinkFacts, groups: Sequence[Tuple[Sequence[Entry], bool]], after: int
    ) -> None:
        self._facts = facts
        self.groups = [LostGroup(entries, idempotent=known) for entries, known in groups]
        self.after = after
        self._is_killed = False

    def commands(self, facts: LinkFacts) -> List[Command]:
        """Return the commands that fence the old connection and look for its entries.

        The server ends the old connection before it looks: it takes our commands in their order.
        """
        fence = self._fence(facts)
        self._is_killed = fence is not None
        commands: List[Command] = [] if fence is None else [fence]
        for group in self.groups:
            commands.extend(group.commands())
        return commands

    def _fence(self, facts: LinkFacts) -> Optional[Command]:
        """Return the command that ends the old connection, where that can be done.

        To another process the number means nothing, or somebody else. The numbers of one process
        only grow, and this connection is the younger: if it has not the higher number, something
        in between gives out numbers of its own.
        """
        old = self._facts
        if old.run_id is None or old.run_id != facts.run_id:
            return None
        if old.client_id is None or facts.client_id is None or facts.client_id <= old.client_id:
            return None
        return (b"CLIENT", b"KILL", b"ID", old.client_id)

    def _is_fenced(self, facts: LinkFacts, killed: Reply) -> bool:
        """Whether nothing that was sent on the old connection can be applied any more."""
        old = self._facts
        if self._is_killed:  # or was gone: 0 says so, or an error
            return not isinstance(killed, ReplyError) or "No such client" in killed.text
        if old.run_id is None or facts.run_id is None or old.run_id == facts.run_id:
            return False
        return facts.role == "master"  # the process that could have applied it is another one

    @property
    def reply_count(self) -> int:
        """How many replies the commands bring."""
        return self._is_killed + sum(group.reply_count for group in self.groups)

    def judge(self, replies: Sequence[Reply], facts: LinkFacts) -> List[Recovered]:
        """Return what became of each group."""
        at = int(self._is_killed)
        fenced = self._is_fenced(facts, replies[0] if self._is_killed else None)
        found: List[Recovered] = []
        for group in self.groups:
            end = at + group.reply_count
            found.append(group.judge(replies[at:end], fenced=fenced))
            at = end
        return found


class Settlement:
    """What is to be known, and undone, before anything else is sent.

    Args:
        undo: Commands that take back what a rejected job left.
        lost: Connections that were lost with something on its way.
        ask: Whether to ask the server if it is ready, too: what is under way at its deadline while
            a script runs would have an unknown outcome.
    """

    __slots__ = ("_ask", "_undo", "lost", "undo_count")

    def __init__(
        self, undo: Sequence[Command], lost: Sequence[LostLink], *, ask: bool = False
    ) -> None:
        self._ask = ask
        self._undo = list(undo)
        self.undo_count = len(undo)
        self.lost = list(lost)

    def is_possible(self, facts: LinkFacts) -> bool:
        """Whether a connection is younger than those that were lost."""
        return all(link.after < facts.serial for link in self.lost)

    @property
    def writes(self) -> bool:
        """Whether any of it must not be applied late."""
        return self.undo_count > 0

    def commands(self, facts: LinkFacts) -> List[Command]:
        """Return the commands."""
        commands = list(self._undo)
        for link in self.lost:
            commands.extend(link.commands(facts))
        if self._ask:
            commands.append((b"PING",))
        return commands

    def judge(
        self, replies: Sequence[Reply], facts: LinkFacts
    ) -> Iterator[Tuple[LostGroup, Recovered]]:
        """Yield what became of each group of entries."""
        at = self.undo_count
        for link in self.lost:
            end = at + link.reply_count
            yield from zip(link.groups, link.judge(replies[at:end], facts))
            at = end


def _kind_of(entry: Entry) -> bytes:
    return b"list" if entry.score is None else b"zset"


def _is_ours(entry: Entry, document: bytes) -> bool:
    """Whether a document is the one that was sent, though a worker may have rewritten it since."""
    try:
        return Job.from_json(document).created_at == Job.from_json(entry.document).created_at
    except exc.SerializationError:
        return False
