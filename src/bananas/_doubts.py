"""Finds out what became of a transaction whose reply was lost: fence, look, and only then judge."""

from __future__ import annotations

from typing import Awaitable, Callable, List, Optional, Sequence

from . import exceptions as exc
from ._batch import Entry, Verdicts
from ._protocol import TRANSIENT, LinkLost, Reply, ReplyError
from ._redis import Command, Link
from .models import Job

__all__ = ["Doubt", "settle"]

RoundTrip = Callable[[Link, Sequence[Command]], Awaitable[List[Reply]]]


class Doubt:
    """Entries of one transaction that was sent and whose reply was lost.

    Attributes:
        entries: Those that somebody still waits for.
        exclusive: An entry's document may be somebody else's.
        writes: There is nothing to be found out, but the old connection must not write any more.
        existing: Set by ``settle``: entries whose document is somebody else's.
        fenced: Set by ``settle``: the old connection can't apply anything any more.
    """

    __slots__ = ("_client_id", "_run_id", "entries", "exclusive", "existing", "fenced", "writes")

    def __init__(
        self,
        entries: Sequence[Entry],
        lost: Link,
        *,
        exclusive: bool = False,
        writes: bool = False,
    ) -> None:
        self.entries: List[Entry] = list(entries)
        self.exclusive = exclusive
        self.writes = writes
        self.existing: List[Entry] = []
        self.fenced = False
        self._client_id = lost.client_id
        self._run_id = lost.run_id

    def fence(self, link: Link) -> Optional[Command]:
        """Return the command that ends the old connection; None where there is none to end.

        A request that is still under way on the old connection could be applied after we looked.
        An id means nothing to another server process, where it may be an innocent's. The ids of
        one process only grow, and this connection was opened after the old one was lost: where
        its id is not the higher, something between gives out ids of its own, and "there is no
        such connection" would prove nothing.
        """
        if self._run_id is None or link.run_id is None:
            return None
        if self._run_id != link.run_id:
            # Nothing that the other process applies late is applied here, but by replication.
            self.fenced = link.role == "master"
            return None
        if self._client_id is None or link.client_id is None or link.client_id <= self._client_id:
            return None
        return (b"CLIENT", b"KILL", b"ID", self._client_id)


async def settle(doubt: Doubt, link: Link, round_trip: RoundTrip) -> Verdicts:
    """Return a verdict on each entry; ``again`` are those that are not there.

    Where ``doubt.fenced`` is false afterwards, those may yet be applied.

    Raises:
        LinkLost: This connection broke too, or the server is not ready, or is a replica; nothing
            is decided.
    """
    if link.role not in (None, "master"):
        raise LinkLost("it leads to a replica, which can't tell what its primary will apply")
    fence = doubt.fence(link)
    looked_at = doubt.entries if doubt.exclusive else doubt.entries[:1]
    targets = list(dict.fromkeys(entry.target for entry in doubt.entries))
    verb = b"GET" if doubt.exclusive else b"EXISTS"
    commands: List[Command] = [(verb, entry.key) for entry in looked_at]
    commands.extend((b"TYPE", target) for target in targets)
    # The server ends the old connection before it looks: it takes our commands in their order.
    replies = await round_trip(link, commands if fence is None else [fence, *commands])
    if fence is not None:
        killed, *replies = replies
        # 0 says that the connection is gone already; an older Redis may say so with an error.
        doubt.fenced = not isinstance(killed, ReplyError) or "No such client" in killed.text
    if any(isinstance(reply, ReplyError) and reply.code in TRANSIENT for reply in replies):
        raise LinkLost("the server is not ready")
    kinds = dict(zip(targets, replies[len(looked_at) :]))
    found = Verdicts()
    # A transaction is all or nothing, so that one document of it speaks for all.
    seen = replies[: len(looked_at)] if doubt.exclusive else replies[:1] * len(doubt.entries)
    for entry, reply in zip(doubt.entries, seen):
        _judge(doubt, entry, reply, kinds[entry.target], found)
    return found


def _judge(doubt: Doubt, entry: Entry, reply: Reply, kind: Reply, found: Verdicts) -> None:
    if isinstance(reply, ReplyError):
        doubt.fenced = False  # without the right to look there is nothing to be known
        found.again.append([entry])
    elif not reply:
        found.again.append([entry])
    elif doubt.exclusive and not _is_ours(entry, reply):
        doubt.existing.append(entry)
    elif isinstance(kind, ReplyError) or kind in (
        b"none",
        b"list" if entry.score is None else b"zset",
    ):
        found.applied.append(entry)
    else:
        # EXEC stored the document and could not push the id, as it does not roll back.
        wrong = ReplyError("WRONGTYPE", f"{entry.target.decode()} holds the wrong kind of value")
        found.rejected.append((entry, wrong))
        found.undo.append((b"DEL", entry.key))


def _is_ours(entry: Entry, document: bytes) -> bool:
    """Whether a document is the one that was sent, though a worker may have rewritten it since."""
    try:
        return Job.from_json(document).created_at == Job.from_json(entry.document).created_at
    except exc.SerializationError:
        return False
