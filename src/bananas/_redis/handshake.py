"""Asks a server, before a connection to it is used, who it is and what it allows."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import List, Optional, Sequence

from .. import exceptions as exc
from .protocol import TRANSIENT, Command, Reply, ReplyError

__all__ = ["Handshake", "NotReady", "Permanent"]

#: What CLIENT LIST calls our connections.
_CLIENT_NAME = "bananas"
_QUESTIONS = (
    ("HELLO", 2, "SETNAME", _CLIENT_NAME),
    ("CLIENT", "ID"),
    ("INFO", "server"),
    ("PING",),  # refused by a server that is not ready, whatever else it answers
)


class Permanent(Exception):
    """Trying to connect again is pointless."""


class NotReady(Exception):
    """The server refuses for a reason that passes: it runs a script, say, or loads its data."""

    def __init__(self, reply: ReplyError) -> None:
        super().__init__(f"is not ready: {reply}")
        self.reply = reply


class _StuckInTransaction(Exception):
    """The server accepts MULTI, but neither EXEC nor DISCARD: the connection can't be used."""

    def __init__(self, reply: ReplyError) -> None:
        super().__init__(f"can't leave a MULTI: {reply}")
        self.reply = reply


class Handshake(ABC):
    """What a connection of any kind asks, and knows of the server then.

    The number of the connection is what it is fenced by once it is lost; it means nothing to
    another server process.

    Attributes:
        client_id: The server's number for the connection; None where it tells none.
        role: ``master``, or another word; None where it tells none.
        run_id: Names the server's process; None where it tells none.
        no_transactions: Why MULTI and EXEC may not be used, if they may not.
    """

    client_id: Optional[int] = None
    role: Optional[str] = None
    run_id: Optional[str] = None
    no_transactions: Optional[ReplyError] = None

    async def _introduce(self, two_slots: Sequence[bytes]) -> None:
        """Learn what there is to know, in one round trip as a rule.

        Args:
            two_slots: Two keys that lie in different slots of a cluster.

        Raises:
            Permanent: The server can't run the queue.
            NotReady: It can't run it yet.
            exceptions.AuthenticationError: It wants a password.
        """
        try:
            multi, discard = await self._learn(two_slots, ("MULTI",), ("DISCARD",))
            self.no_transactions = await self._refusal_of_transactions(multi, discard)
        except _StuckInTransaction as error:
            self.no_transactions = error.reply
        else:
            return
        await self._reopen()
        await self._learn(two_slots)

    async def _learn(self, two_slots: Sequence[bytes], *further: Command) -> List[Reply]:
        """Ask, and return the replies to further commands."""
        hello, client_id, info, _, *replies = await self._ask_ready(*_QUESTIONS, *further)
        if isinstance(client_id, ReplyError) and client_id.code == "NOAUTH":
            raise self.login_refusal(client_id)
        facts = dict(zip(hello[::2], hello[1::2])) if isinstance(hello, list) else {}
        if facts.get(b"mode") == b"cluster":
            # A real cluster refuses keys of two slots; some servers only say that they are one.
            (exists,) = await self._ask_ready(("EXISTS", *two_slots))
            if isinstance(exists, ReplyError):
                raise Permanent(
                    "is a Redis Cluster, which is not supported; use a single primary or Sentinel"
                )
        self.client_id = client_id if isinstance(client_id, int) else None
        self.run_id = _found(rb"^run_id:(\S+)", info)
        role = facts.get(b"role")
        if isinstance(role, bytes):
            self.role = role.decode()
        else:  # HELLO is refused, or does not know it
            (info,) = await self._ask_ready(("INFO", "replication"))
            self.role = _found(rb"^role:(\w+)", info)
        return replies

    async def _refusal_of_transactions(self, multi: Reply, discard: Reply) -> Optional[ReplyError]:
        """Return why they are refused, or None; without MULTI each command is run by itself."""
        if isinstance(multi, ReplyError):
            return multi
        if not isinstance(discard, ReplyError):
            return None
        (done,) = await self._ask_ready(("EXEC",))
        if not isinstance(done, ReplyError):
            return None
        if done.code != "EXECABORT":  # which says that the transaction has been given up
            raise _StuckInTransaction(done)
        # Without a reason it says only that DISCARD was refused; with one, why EXEC is refused.
        return None if done.reason is done else done.reason

    async def _ask_ready(self, *commands: Command) -> List[Reply]:
        replies = await self.ask(commands)
        for reply in replies:
            if isinstance(reply, ReplyError) and reply.reason.code in TRANSIENT:
                raise NotReady(reply.reason)
        return replies

    @abstractmethod
    async def ask(self, commands: Sequence[Command], limit: Optional[float] = None) -> List[Reply]:
        """Send commands and read their replies, for ``limit`` seconds at most.

        Raises:
            TimeoutError: They do not come in time.
            LinkLost: The connection is gone.
        """

    @abstractmethod
    def login_refusal(self, reply: ReplyError) -> exc.AuthenticationError:
        """Say that the server wants a login, or refuses the one that it was given."""

    @abstractmethod
    async def _reopen(self) -> None:
        """Open the connection again, where it can't be used any more."""


def _found(pattern: bytes, info: Reply) -> Optional[str]:
    match = re.search(pattern, info, re.MULTILINE) if isinstance(info, bytes) else None
    return match.group(1).decode() if match else None
