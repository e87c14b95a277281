"""Which channels are wanted, sent and confirmed on one pub/sub connection."""

from __future__ import annotations

from typing import Dict, List, Optional, Set

from .._redis import Command, Reply, ReplyError
from .._wire import Keys

__all__ = ["Channels", "Heard"]

_CHANNELS_PER_COMMAND = 1000


class Heard:
    """What a batch of replies says.

    Attributes:
        confirmed: Jobs whose channels are subscribed from now on.
        notified: Jobs that something was published about, or whose SUBSCRIBE was refused.
        refusal: Why Redis refuses to subscribe.
    """

    __slots__ = ("confirmed", "notified", "refusal")

    def __init__(self) -> None:
        self.confirmed: List[str] = []
        self.notified: List[str] = []
        self.refusal: Optional[ReplyError] = None


class Channels:
    """Turns what is wanted into SUBSCRIBE and UNSUBSCRIBE, in batches.

    Args:
        keys: The names of the channels.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._wanted: Dict[bytes, str] = {}  # channels, and the jobs that they are about
        self._sent: Set[bytes] = set()
        self._unconfirmed: Dict[bytes, int] = {}
        self._changed: Dict[bytes, None] = {}
        self._is_connected = False

    def __len__(self) -> int:
        return len(self._wanted)

    def want(self, job_id: str) -> bool:
        """Want a channel; true if it is subscribed already."""
        channel = self._keys.channel(job_id)
        self._wanted[channel] = job_id
        if self._is_connected:
            self._changed[channel] = None
        return channel in self._sent and channel not in self._unconfirmed

    def unwant(self, job_id: str) -> None:
        """Want a channel no longer."""
        channel = self._keys.channel(job_id)
        self._wanted.pop(channel, None)
        if self._is_connected:
            self._changed[channel] = None

    def connected(self) -> None:
        """Begin with a new connection, on which nothing is subscribed."""
        self._is_connected = True
        self._changed = dict.fromkeys(self._wanted)

    def lost(self) -> None:
        """Forget a connection; on the next one only what is wanted will be subscribed."""
        self._is_connected = False
        self._sent.clear()
        self._unconfirmed.clear()

    def take_changes(self) -> List[Command]:
        """Return the commands for all that has changed."""
        changed, self._changed = self._changed, {}
        add: List[bytes] = []
        remove: List[bytes] = []
        for channel in changed:
            if channel in self._wanted:
                if channel not in self._sent:
                    self._sent.add(channel)
                    self._unconfirmed[channel] = self._unconfirmed.get(channel, 0) + 1
                    add.append(channel)
            elif channel in self._sent:
                self._sent.discard(channel)
                remove.append(channel)
        return [
            (verb, *channels[start : start + _CHANNELS_PER_COMMAND])
            for verb, channels in ((b"UNSUBSCRIBE", remove), (b"SUBSCRIBE", add))
            for start in range(0, len(channels), _CHANNELS_PER_COMMAND)
        ]

    def read(self, replies: List[Reply]) -> Heard:
        """Read what has arrived."""
        heard = Heard()
        for reply in replies:
            if reply.__class__ is list and len(reply) == 3:  # else it is a pong
                self._read_one(reply[0], reply[1], heard)
            elif isinstance(reply, ReplyError):
                heard.refusal = reply
                refused, self._unconfirmed = self._unconfirmed, {}
                wanted = self._wanted
                heard.notified.extend(wanted[channel] for channel in refused if channel in wanted)
        return heard

    def _read_one(self, kind: Reply, channel: Reply, heard: Heard) -> None:
        job_id = self._wanted.get(channel) if channel.__class__ is bytes else None
        if kind == b"message":
            if job_id is not None:
                heard.notified.append(job_id)
        elif kind == b"subscribe" and self._is_last_confirmation(channel) and job_id is not None:
            heard.confirmed.append(job_id)

    def _is_last_confirmation(self, channel: bytes) -> bool:
        """Count a confirmation; only the latest SUBSCRIBE's means that nothing can be missed."""
        left = self._unconfirmed.get(channel, 1) - 1
        if left:
            self._unconfirmed[channel] = left
            return False
        self._unconfirmed.pop(channel, None)
        return True
