"""Commands as bytes, and the asyncio protocol that parses the replies to them."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Callable, List, Optional, Sequence, Tuple, Union

import hiredis
from redis.asyncio.connection import Connection

__all__ = [
    "TRANSIENT",
    "Argument",
    "Command",
    "LinkLost",
    "Reply",
    "ReplyError",
    "ReplyProtocol",
    "new_reader",
    "pack",
    "without_arguments",
]

#: Temporary errors: the server loads, runs a script, or is a replica that may be promoted.
TRANSIENT = frozenset({"READONLY", "LOADING", "MASTERDOWN", "BUSY", "TRYAGAIN"})

Argument = Union[bytes, str, int]
Command = Tuple[Argument, ...]
Reply = Any
Receiver = Callable[[List[Reply]], None]

_FIRST_WORD = r"(?s)([A-Z][A-Z0-9]{2,}) (.*)"
_BECAUSE = "Transaction discarded because of: "


# Its stub knows tuples of one argument only; it is there from 2.1.
_pack_command: Optional[Callable[[Any], bytes]] = getattr(hiredis, "pack_command", None)


class LinkLost(Exception):
    """The connection can't be used any more. What was sent may have arrived or not."""


class ReplyError:
    """An error that Redis replied with, as a value: code, and text without any argument."""

    __slots__ = ("code", "text")

    def __init__(self, code: str, text: str) -> None:
        self.code: str = code
        self.text: str = text

    @classmethod
    def parse(cls, line: str) -> ReplyError:
        """Read what Redis says: a code and a text; a sentence without a code is a plain error."""
        text = without_arguments(line)
        match = re.match(_FIRST_WORD, text)
        return cls(match.group(1), match.group(2)) if match else cls("ERR", text)

    @property
    def reason(self) -> ReplyError:
        """The error itself, or the one that it says a transaction was given up because of."""
        if self.code == "EXECABORT" and self.text.startswith(_BECAUSE):
            return ReplyError.parse(self.text[len(_BECAUSE) :])
        return self

    def __repr__(self) -> str:
        return f"ReplyError({self.code!r}, {self.text!r})"

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


def without_arguments(text: str) -> str:
    """Cut off what Redis repeats of a command that it does not know: it may be a payload."""
    return text.split(", with args beginning with", 1)[0][:300]


def new_reader() -> Any:
    """Return what makes replies out of bytes, errors among them as ``ReplyError``."""
    make_reader: Any = hiredis.Reader  # its stub knows exceptions only
    return make_reader(replyError=ReplyError.parse)


def pack(commands: Sequence[Command]) -> bytes:
    """Return the bytes of some commands."""
    if _have_numbers(commands):
        # hiredis crashes where a signal handler raises while it writes a number.
        commands = [tuple(map(_as_text, command)) for command in commands]
    if _pack_command is not None:
        return b"".join(map(_pack_command, commands))
    return b"".join(Connection().pack_commands(commands))  # pragma: no cover


def _have_numbers(commands: Sequence[Command]) -> bool:
    for command in commands:
        for argument in command:
            if argument.__class__ is int:
                return True
    return False


def _as_text(argument: Argument) -> Union[bytes, str]:
    return str(argument) if isinstance(argument, int) else argument


class ReplyProtocol(asyncio.Protocol):
    """Parses replies where they arrive and hands them to one receiver at a time.

    A task that reads a stream would cost two turns of the loop for each pipeline.

    Args:
        on_lost: Called once, when the connection has ended or is given up, with the reason.

    Attributes:
        lost: The reason, once the connection has ended or is given up.
        on_progress: Called with the number of bytes that have arrived, where more are to come.
    """

    def __init__(self, on_lost: Callable[[LinkLost], None]) -> None:
        reader = new_reader()
        self._feed: Callable[[bytes], None] = reader.feed
        self._gets: Callable[[], Reply] = reader.gets
        self._has_data: Optional[Callable[[], bool]] = getattr(reader, "has_data", None)
        self._on_lost = on_lost
        self._replies: List[Reply] = []
        self._wanted = 0
        self._receiver: Optional[Receiver] = None
        self._closed: Optional[asyncio.Future[None]] = None
        self._has_ended = False
        self.lost: Optional[LinkLost] = None
        self.on_progress: Optional[Callable[[int], None]] = None

    def expect(self, count: int, receiver: Receiver) -> None:
        """Have the next ``count`` replies handed over, at once if they are here.

        Args:
            count: How many; 0 is whatever arrives, from now on.
            receiver: Called with them, once; with a count of 0 for every arrival.
        """
        self._wanted = count
        self._receiver = receiver
        if self._replies:
            self._hand_over()

    def expect_nothing(self) -> None:
        """Take the receiver back: what arrives now was not asked for."""
        self._receiver = None

    @property
    def unread(self) -> List[Reply]:
        """Replies that have arrived and were not handed over, since others are missing."""
        return list(self._replies)

    @property
    def has_leftovers(self) -> bool:
        """Whether more has arrived than was asked for."""
        return bool(self._replies) or (self._has_data is not None and self._has_data())

    def lose(self, reason: LinkLost) -> None:
        """Give the connection up; only the first reason counts."""
        if self.lost is None:
            self.lost = reason
            self._receiver = None
            self._on_lost(reason)

    async def wait_closed(self) -> None:
        """Wait until the loop has closed the transport."""
        if not self._has_ended:
            self._closed = asyncio.get_running_loop().create_future()
            await self._closed

    # -- called by the transport -----------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse, and hand over what is complete."""
        if self.lost is not None:
            return
        gets, replies = self._gets, self._replies
        try:
            self._feed(data)
            reply = gets()
            while reply is not False:  # RESP2 has no such reply: nothing complete is left
                replies.append(reply)
                reply = gets()
        except Exception as error:
            self.lose(LinkLost(f"it does not speak the Redis protocol ({type(error).__name__})"))
            return
        if self._receiver is None:
            self.lose(LinkLost("it has an unexpected reply"))
            return
        if replies:
            self._hand_over()
        if self._receiver is not None and self.on_progress is not None:
            self.on_progress(len(data))

    def _hand_over(self) -> None:
        receiver, replies, wanted = self._receiver, self._replies, self._wanted
        assert receiver is not None
        if wanted:
            if len(replies) < wanted:
                return
            self._receiver = None
            self._replies = replies[wanted:]
            del replies[wanted:]
        else:
            self._replies = []
        receiver(replies)

    def connection_lost(self, error: Optional[Exception]) -> None:
        """Say why the transport has ended."""
        self._has_ended = True
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        reason = "the connection was closed by the server"
        if error is not None:
            text = error.strerror if isinstance(error, OSError) else None
            reason = text.lower() if text else type(error).__name__
        self.lose(LinkLost(reason))
