"""What is on its way to the server, one pipeline at a time, and what its replies are good for."""

from __future__ import annotations

from typing import List, Optional, Sequence

from .._redis import Command, Reply
from .answers import Answer, judge, refuse_too_long
from .batch import Batch
from .effects import Effects
from .marker import Marker
from .pending import PendingRequests
from .recovery import LinkFacts, LostLink, Settlement
from .schedule import Schedule

__all__ = ["Exchange"]

# After so many batches of one request each, the next request waits for nobody.
_LONE = 5


class Exchange:
    """Sends a batch or a settlement, and judges the replies to it.

    Args:
        effects: Sends the commands.
        schedule: Counts how long the connection is silent.
        silence: For how many seconds it may be silent while it settles.

    Attributes:
        batch: The batch that is on its way, if one is.
        settlement: The settlement that is on its way, if one is.
        unwatch: Whether keys may be under watch on the connection.
        batches: How many batches were sent.
    """

    __slots__ = (
        "_effects",
        "_lone_batches",
        "_marker",
        "_schedule",
        "_silence",
        "batch",
        "batches",
        "settlement",
        "unwatch",
    )

    def __init__(self, effects: Effects, schedule: Schedule, silence: float) -> None:
        self._effects = effects
        self._schedule = schedule
        self._silence = silence
        self._marker = Marker()
        self._lone_batches = 0
        self.batch: Optional[Batch] = None
        self.settlement: Optional[Settlement] = None
        self.unwatch = False
        self.batches = 0

    @property
    def is_for_one(self) -> bool:
        """Whether nobody but one caller has asked for anything for a while."""
        return self._lone_batches >= _LONE

    def send_batch(self, batch: Batch, now: float) -> None:
        """Send a batch."""
        commands = batch.commands()
        if batch.needs_marker:
            commands.append(self._marker.next())
        self.batches += 1
        self.batch = batch
        self.unwatch = batch.look is not None
        self._send(commands, now, batch.silence, batch.size)

    def send_settlement(self, settlement: Settlement, facts: LinkFacts, now: float) -> None:
        """Send a settlement."""
        self.settlement = settlement
        self._send([*settlement.commands(facts), self._marker.next()], now, self._silence)

    def confirm(self, now: float) -> None:
        """Make sure that no reply to the batch is a stray one."""
        batch = self.batch
        assert batch is not None
        self._send([*batch.leave_transaction(), self._marker.next()], now, batch.silence)

    def _send(self, commands: List[Command], now: float, silence: float, size: int = 0) -> None:
        self._effects.send(commands)
        self._schedule.sent(now, silence, size)

    def judge_batch(self, replies: List[Reply]) -> Answer:
        """Judge the replies to the batch, or to the marker that was asked for afterwards."""
        assert self.batch is not None
        return judge(self.batch, replies, self._marker)

    def take_batch(self) -> Batch:
        """Return the batch that was answered; nothing is on its way any more."""
        batch, self.batch = self.batch, None
        assert batch is not None
        self._lone_batches = self._lone_batches + 1 if batch.requests <= 1 else 0
        return batch

    def take_settlement(self, replies: List[Reply]) -> Optional[Settlement]:
        """Return the settlement that was answered; None where the replies can't be those to it."""
        if not self._marker.is_reply(replies.pop()):
            return None
        settlement, self.settlement = self.settlement, None
        return settlement

    def lost(
        self, pending: PendingRequests, facts: LinkFacts, after: int, replies: Sequence[Reply]
    ) -> None:
        """Note what was on its way on a connection that was lost.

        Args:
            pending: Where it is noted.
            facts: Of the connection.
            after: The serial number of the last connection that is not younger.
            replies: Those that came before.
        """
        batch, self.batch = self.batch, None
        settlement, self.settlement = self.settlement, None
        if settlement is not None and settlement.writes:
            pending.lost.append(LostLink(facts, [], after))
        if batch is not None and not refuse_too_long(batch, replies, pending):
            pending.send_again(batch, facts, after)
