"""What is on its way to the server: a batch, or what settles lost replies."""

from __future__ import annotations

from typing import Callable, List, Optional

from .._redis import Command, Reply, ReplyError
from .batch import Batch
from .deadline_heap import NEVER
from .effects import Effects
from .recovery import LinkFacts, Settlement
from .silence import Silence
from .transaction import is_passing

__all__ = ["RoundTrip"]

# After this many batches of one request each, the next request does not wait for others.
_LONE = 5
# For a batch of fewer bytes, the progress of the upload is not checked.
_LONG_UPLOAD = 1 << 16


class RoundTrip:
    """Sends a batch or a settlement, and counts how long the connection is silent.

    Behind commands whose replies do not tell what they answer goes a marker: ECHO of a number,
    whose reply comes in its place only if there was no unexpected reply before it.

    Args:
        effects: Sends the commands.
        wake: Has the connection looked at, at a time.
        silence: For how many seconds the connection may be silent where no request tells.

    Attributes:
        batch: The batch that is on its way, if one is.
        settlement: The settlement that is on its way, if one is.
        is_to_be_confirmed: Whether one of the replies may be an unexpected one.
        refusal: Why the server refuses every command for a while, if it does.
        unwatch: Whether keys may be under watch on the connection.
        batches: How many batches were sent.
        look_at: When to see whether the connection is silent.
    """

    def __init__(self, effects: Effects, wake: Callable[[float], None], silence: float) -> None:
        self._effects = effects
        self._wake = wake
        self._limit = silence
        self._silence = Silence()
        self._marker = 0
        self._is_marked = False
        self._lone_batches = 0
        self.batch: Optional[Batch] = None
        self.settlement: Optional[Settlement] = None
        self.is_to_be_confirmed = False
        self.refusal: Optional[ReplyError] = None
        self.unwatch = False
        self.batches = 0
        self.look_at = NEVER

    @property
    def is_for_one(self) -> bool:
        """Whether nobody but one caller has asked for anything for a while."""
        return self._lone_batches >= _LONE

    def send_batch(self, batch: Batch, now: float) -> None:
        """Send a batch."""
        self.batch = batch
        self.batches += 1
        self._lone_batches = self._lone_batches + 1 if batch.requests <= 1 else 0
        self.unwatch = batch.check is not None
        self._send(batch.commands(), now, batch.silence, batch.size, is_marked=batch.needs_marker)

    def confirm(self, now: float) -> None:
        """Make sure that no reply was an unexpected one, and that no transaction is open."""
        batch = self.batch
        assert batch is not None
        self._send([(b"DISCARD",)] if batch.leaves_transaction else [], now, batch.silence)

    def send_settlement(self, settlement: Settlement, facts: LinkFacts, now: float) -> None:
        """Send a settlement."""
        self.settlement = settlement
        silence = settlement.silence(otherwise=self._limit)
        self._send(settlement.commands(facts), now, silence)

    def _send(
        self,
        commands: List[Command],
        now: float,
        silence: float,
        size: int = 0,
        *,
        is_marked: bool = True,
    ) -> None:
        self._is_marked = is_marked
        if is_marked:
            self._marker += 1
            commands.append((b"ECHO", b"%d" % self._marker))
        self._effects.send(commands)
        unsent = self._effects.unsent() if size > _LONG_UPLOAD else 0
        self.look_at = self._silence.begin(now, silence, unsent)
        self._wake(self.look_at)

    def judge(self, replies: List[Reply]) -> Optional[str]:
        """Judge the replies, and remove the marker's.

        An error does not tell which command it answers: it is confirmed by another marker.

        Returns:
            Why these can't be the replies to what was sent; None if they can.
        """
        batch = self.batch
        echo = replies.pop() if self._is_marked else None
        self.refusal = echo if is_passing(echo) else None
        self.is_to_be_confirmed = False
        if batch is not None and batch.outcomes is None:
            if not batch.judge(replies):
                return "its replies are not those of a transaction"
            if batch.leaves_transaction or not (self._is_marked or batch.is_clean):
                self.is_to_be_confirmed = True
                return None
        is_sure = not self._is_marked or self._is_marker(echo)
        return None if is_sure else "it has an unexpected reply"

    def _is_marker(self, reply: Reply) -> bool:
        """Whether a reply is the one to the last marker.

        Where ECHO may not be used an error comes in its place; so it does where the server refuses
        every command for a while.
        """
        if isinstance(reply, ReplyError):
            return reply.code == "NOPERM" or "unknown command" in reply.text or is_passing(reply)
        return bool(reply == b"%d" % self._marker)

    def moved(self, count: int, now: float) -> None:
        """Note that some bytes were read, and more are to come."""
        self._silence.moved(count, now)

    def is_silent(self, now: float) -> bool:
        """Whether the connection has been silent for too long."""
        if now < self.look_at:
            return False
        look_at = self._silence.look(now, self._effects.unsent())
        self.look_at = NEVER if look_at is None else look_at
        return look_at is None
