"""Submits whose id may exist: queued only where they do not, in one step with looking."""

from __future__ import annotations

from collections import deque
from typing import Awaitable, Callable, Dict, List, Optional, Sequence

from ._batch import Entry, Transaction, Verdicts
from ._doubts import Doubt
from ._ledger import Ledger
from ._protocol import TRANSIENT, LinkLost, Reply, ReplyError
from ._redis import Command, Link

__all__ = ["ExclusiveSubmits"]

RoundTrip = Callable[..., Awaitable[List[Reply]]]


class ExclusiveSubmits:
    """Queues entries under WATCH, for the owner of a link while nothing else is sent on it.

    Args:
        ledger: Where the outcomes go.
        round_trip: Sends commands and reads their replies.
        checked_round_trip: Does the same, and makes sure that the replies are theirs.
        check_refusals: Makes sure that a refusal is no stray reply.

    Attributes:
        watching: Whether the link has keys on its watch, which the next batch must let go.
    """

    def __init__(
        self,
        ledger: Ledger,
        round_trip: RoundTrip,
        checked_round_trip: RoundTrip,
        check_refusals: Callable[..., Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._round_trip = round_trip
        self._checked_round_trip = checked_round_trip
        self._check_refusals = check_refusals
        self.watching = False

    async def submit(self, link: Link, entries: Sequence[Entry]) -> Optional[ReplyError]:
        """Queue those that do not exist; WATCH makes looking and queueing one step."""
        firsts: Dict[bytes, Entry] = {}
        for entry in entries:
            firsts.setdefault(entry.key, entry)
        commands: List[Command] = [(b"WATCH", *firsts)]
        commands.extend((b"EXISTS", key) for key in firsts)
        try:
            watched, *found = await self._checked_round_trip(link, commands)
        except BaseException:
            self._ledger.submit_again(entries, exclusive=True)
            raise
        self.watching = True
        error = next((r for r in (watched, *found) if isinstance(r, ReplyError)), None)
        if error is not None:
            if error.code == "NOPERM" and len(firsts) > 1:
                # A right to some documents only: each has to be tried for itself.
                groups = [[entry for entry in entries if entry.key == key] for key in firsts]
                return await self._submit_each(link, groups)
            return self._refuse(entries, error)
        existing = {key for key, reply in zip(firsts, found) if reply}
        chosen = [entry for key, entry in firsts.items() if key not in existing]
        # The second of an id will be found to exist, or take its turn.
        later = [e for e in entries if e.key not in existing and firsts[e.key] is not e]
        self._ledger.submit_again(later, exclusive=True)
        self._ledger.note_existing([entry for entry in entries if entry.key in existing])
        return await self._queue(link, chosen) if chosen else None

    async def _submit_each(
        self, link: Link, groups: Sequence[Sequence[Entry]]
    ) -> Optional[ReplyError]:
        """Queue one group after the other, so that what one is refused for concerns no other."""
        refused: Optional[ReplyError] = None
        left = deque(groups)
        try:
            while left:
                refused = await self.submit(link, left.popleft()) or refused
        finally:
            self._ledger.submit_again([e for group in left for e in group], exclusive=True)
        return refused

    async def _queue(self, link: Link, chosen: List[Entry]) -> Optional[ReplyError]:
        transaction = Transaction(chosen)
        try:
            replies = await self._round_trip(link, transaction.commands(), (transaction,))
            self.watching = False
            if replies[-1] is None:  # somebody else was faster with one of them
                self._ledger.submit_again(chosen, exclusive=True)
                return None
            verdicts = transaction.verdicts(replies)
            if verdicts is None:
                raise LinkLost("its replies are not those of a transaction")
            await self._check_refusals(link, [verdicts], [transaction])
        except BaseException:
            self._ledger.doubt(Doubt(chosen, link, exclusive=True))
            raise
        groups: List[List[Entry]] = []
        if verdicts.transient is None:
            groups, verdicts.again = verdicts.again, []  # together they would be refused again
        refused = self._ledger.hand_out(verdicts, exclusive=True)
        return await self._submit_each(link, groups) or refused

    def _refuse(self, entries: Sequence[Entry], reply: ReplyError) -> Optional[ReplyError]:
        verdicts = Verdicts()
        if reply.code in TRANSIENT:
            verdicts.transient = reply
            verdicts.again.append(list(entries))
        else:
            verdicts.rejected.extend((entry, reply) for entry in entries)
        return self._ledger.hand_out(verdicts, exclusive=True)
