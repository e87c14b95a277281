"""Rules that say which command of a connection meets which fault."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Callable, Literal, Optional, Protocol, Sequence

from .watch import WAIT_S, Signal, Watch

__all__ = [
    "Action",
    "Cut",
    "CutAfterBytes",
    "CutReply",
    "GoSilent",
    "Hold",
    "HoldReply",
    "Inject",
    "LoseReply",
    "LoseReplySilently",
    "Match",
    "Reset",
    "Rule",
    "Side",
    "any_command",
    "at_random",
    "command",
    "containing",
]

Match = Callable[[Sequence[bytes]], bool]
Side = Literal["both", "client", "server"]


def any_command() -> Match:
    """Match every command, those of the connection's handshake included."""
    return lambda words: True


def command(*first: bytes) -> Match:
    """Match commands that begin with these words, in upper or lower case."""
    wanted = [word.upper() for word in first]
    return lambda words: [word.upper() for word in words[: len(wanted)]] == wanted


def containing(part: bytes) -> Match:
    """Match commands with `part` anywhere in an argument."""
    return lambda words: any(part in word for word in words[1:])


def at_random(probability: float, rng: random.Random) -> Match:
    """Match each command with this probability."""
    return lambda words: rng.random() < probability


class Wire(Protocol):
    """What an action can do to the connection that its command came on."""

    def forward(self, data: bytes) -> None:
        """Send to the server."""

    def answer(self, data: bytes) -> None:
        """Send to the client."""

    def cut(self, side: Side = "both", *, reset: bool = False) -> None:
        """Send what was forwarded and answered so far, and close."""

    def cut_after(self, count: int, rule: Rule) -> None:
        """Close once `count` more bytes were forwarded."""

    def silence(self) -> None:
        """Let nothing pass any more, either way."""

    def deafen(self) -> None:
        """Let nothing reach the client any more."""

    async def hold_requests(self, release: Signal) -> None:
        """Send what was forwarded so far, then wait."""

    async def hold_replies(self, release: Signal) -> None:
        """Send what was answered so far, then wait."""


class Rule:
    """A fault armed in a proxy, and how often it has struck."""

    def __init__(self, match: Match, action: Action, times: Optional[int], skip: int) -> None:
        self.action = action
        self._match = match
        self._skip = skip
        self._left = times
        self._fired = 0
        self._watch = Watch()

    @property
    def fired(self) -> int:
        """How often the fault has happened by now."""
        return self._fired

    def disarm(self) -> None:
        """Match nothing any more."""
        self._left = 0

    def wait(self, timeout: float = WAIT_S, times: int = 1) -> int:
        """Block until the fault has happened `times` times, and return how often it did.

        Raises:
            TimeoutError: It has not within `timeout` seconds.
        """
        self._watch.wait(lambda: self._fired >= times, timeout, self._what(times))
        return self._fired

    async def wait_async(self, timeout: Optional[float] = WAIT_S, times: int = 1) -> int:
        """Wait like `wait` without blocking the running loop; None is no limit."""
        await self._watch.wait_async(lambda: self._fired >= times, timeout, self._what(times))
        return self._fired

    def _what(self, times: int) -> str:
        return f"{self.action!r} to happen {times} times"

    # Below: for the proxy, on its own thread.

    def claims(self, words: Sequence[bytes]) -> bool:
        """Tell whether this command meets the fault, and count it if so."""
        if self._left == 0 or not self._match(words):
            return False
        if self._skip > 0:
            self._skip -= 1
            return False
        return self.take()

    def take(self) -> bool:
        """Use the rule once; False when it is used up."""
        if self._left == 0:
            return False
        if self._left is not None:
            self._left -= 1
        return True

    def fire(self) -> None:
        """Note that the fault has happened."""
        self._fired += 1
        self._watch.changed()


class Action:
    """What happens to a matched command and to its reply: by default both pass."""

    async def request(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        """Deal with the command itself."""
        wire.forward(frame)

    async def reply(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        """Deal with the first reply to it."""
        wire.answer(frame)


@dataclass(frozen=True)
class Cut(Action):
    """Close the connection right after the command has gone out to the server.

    Args:
        before: Close it instead of sending the command.
        side: Whose connection is closed. "client": the server's stays open until the server
            closes it. "server": the client's stays open, and silent, until the client closes it.
        reset: The client gets a reset (RST) rather than an orderly end.
    """

    before: bool = False
    side: Side = "both"
    reset: bool = False

    async def request(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        if not self.before:
            wire.forward(frame)
        wire.cut(self.side, reset=self.reset)
        rule.fire()


@dataclass(frozen=True)
class Reset(Cut):
    """Reset (RST) the client's connection right after the command has gone out."""

    reset: bool = True


@dataclass(frozen=True)
class CutAfterBytes(Action):
    """Close the connection once `count` bytes have gone out to the server.

    They are counted from the first byte of the command on, over the commands that follow it on
    its connection too. 0 closes before the command; if fewer come, nothing happens.
    """

    count: int

    async def request(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        wire.cut_after(self.count, rule)
        wire.forward(frame)


@dataclass(frozen=True)
class LoseReply(Action):
    """Close the connection when the reply arrives: done by the server, unknown to the client.

    Args:
        reset: The client gets a reset (RST) rather than an orderly end.
    """

    reset: bool = False

    async def reply(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        wire.cut(reset=self.reset)
        rule.fire()


@dataclass(frozen=True)
class LoseReplySilently(Action):
    """Swallow the reply and all that follows it; the connection stays open, requests pass."""

    async def reply(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        wire.deafen()
        rule.fire()


@dataclass(frozen=True)
class CutReply(Action):
    """Close the connection after the first `count` bytes of the reply, or all if it is shorter."""

    count: int

    async def reply(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        wire.answer(frame[: self.count])
        wire.cut()
        rule.fire()


@dataclass(frozen=True)
class Hold(Action):
    """Keep the command, and those behind it on its connection, back until `release` is set.

    They reach the server even if the client has closed its side in the meantime; not if the
    server has. The rule fires when the command is being held.
    """

    release: Signal

    async def request(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        rule.fire()
        await wire.hold_requests(self.release)
        wire.forward(frame)


@dataclass(frozen=True)
class HoldReply(Action):
    """Keep the reply, and those behind it, back until `release` is set; requests pass."""

    release: Signal

    async def reply(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        rule.fire()
        await wire.hold_replies(self.release)
        wire.answer(frame)


@dataclass(frozen=True)
class GoSilent(Action):
    """Let nothing pass on this connection any more, the command itself included."""

    async def request(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        wire.silence()
        rule.fire()
        wire.forward(frame)


@dataclass(frozen=True)
class Inject(Action):
    """Give the client extra bytes before the reply, or after it.

    Args:
        data: The bytes.
        after: Behind the reply instead.
    """

    data: bytes
    after: bool = False

    async def reply(self, wire: Wire, frame: bytes, rule: Rule) -> None:
        wire.answer(frame + self.data if self.after else self.data + frame)
        rule.fire()
