"""Asks a server, before a connection to it is used, who it is and what it allows."""

from __future__ import annotations

import re
from typing import Awaitable, Callable, List, NamedTuple, Optional, Sequence

from .. import exceptions as exc
from .protocol import TRANSIENT, Command, Reply, ReplyError

__all__ = ["Facts", "NotReady", "Permanent", "introduce"]

#: What CLIENT LIST calls our connections.
_CLIENT_NAME = "bananas"

Ask = Callable[[Sequence[Command]], Awaitable[List[Reply]]]


class Permanent(Exception):
    """Trying to connect again is pointless."""


class NotReady(Exception):
    """The server refuses for a reason that passes: it runs a script, say, or loads its data."""

    def __init__(self, reply: ReplyError) -> None:
        super().__init__(f"is not ready: {reply}")
        self.reply = reply


class _Trapped(Exception):
    """The server lets us into a transaction and not out of it: the connection is of no use."""

    def __init__(self, reply: ReplyError) -> None:
        super().__init__(f"knows no way out of MULTI: {reply}")
        self.reply = reply


class Facts(NamedTuple):
    """What a server says.

    Attributes:
        client_id: The number of this connection; None if it does not say.
        role: ``master``, or another word; None if it does not say.
        run_id: Identifies the server's process; None if it does not say.
        no_transactions: Why it refuses transactions; None if it does not.
    """

    client_id: Optional[int]
    role: Optional[str]
    run_id: Optional[str]
    no_transactions: Optional[ReplyError]


async def introduce(
    ask: Ask,
    reopen: Callable[[], Awaitable[None]],
    login_refusal: Callable[[ReplyError], exc.AuthenticationError],
    two_slots: Sequence[bytes],
) -> Facts:
    """Learn what a client needs to know of a server, in one round trip as a rule.

    It does no I/O of its own, so that it judges connections of every kind. The number of the
    connection is what it is fenced by once it is lost; it means nothing to another server process.

    Args:
        ask: Sends commands and reads their replies.
        reopen: Makes the connection anew, where it is of no more use.
        login_refusal: Makes the error of a server that wants a login.
        two_slots: Two keys that lie in different slots of a cluster.

    Raises:
        Permanent: It can't run the queue.
        NotReady: It may later.
        exceptions.AuthenticationError: It wants a password.
    """
    try:
        return await _introduce(ask, login_refusal, two_slots, multi=True)
    except _Trapped as error:
        trapped = error.reply
    await reopen()
    facts = await _introduce(ask, login_refusal, two_slots, multi=False)
    return facts._replace(no_transactions=trapped)


async def _introduce(
    ask: Ask,
    login_refusal: Callable[[ReplyError], exc.AuthenticationError],
    two_slots: Sequence[bytes],
    *,
    multi: bool,
) -> Facts:
    commands: List[Command] = [
        ("HELLO", 2, "SETNAME", _CLIENT_NAME),
        ("CLIENT", "ID"),
        ("INFO", "server"),
        ("PING",),  # refused by a server that is not ready, whatever else it answers
    ]
    if multi:
        commands += [("MULTI",), ("DISCARD",)]
    hello, client_id, info, _, *transaction = await _ask(ask, commands)
    if isinstance(client_id, ReplyError) and client_id.code == "NOAUTH":
        raise login_refusal(client_id)
    facts = dict(zip(hello[::2], hello[1::2])) if isinstance(hello, list) else {}
    if facts.get(b"mode") == b"cluster":
        await _refuse_slots(ask, two_slots)
    role = facts.get(b"role")
    return Facts(
        client_id if isinstance(client_id, int) else None,
        role.decode() if isinstance(role, bytes) else await _role(ask),
        _found(rb"^run_id:(\S+)", info),
        await _refusal_of_transactions(ask, *transaction) if transaction else None,
    )


async def _ask(ask: Ask, commands: Sequence[Command]) -> List[Reply]:
    replies = await ask(commands)
    for reply in replies:
        if isinstance(reply, ReplyError) and reply.reason.code in TRANSIENT:
            raise NotReady(reply.reason)
    return replies


async def _refuse_slots(ask: Ask, two_slots: Sequence[bytes]) -> None:
    """Refuse a cluster that keeps the keys of one job apart; some only call themselves so."""
    (reply,) = await _ask(ask, [("EXISTS", *two_slots)])
    if isinstance(reply, ReplyError):
        raise Permanent(
            "is a Redis Cluster, which is not supported: the queue's keys live in many slots; use "
            "a single primary or Sentinel"
        )


async def _role(ask: Ask) -> Optional[str]:
    """Ask for the role in another way: HELLO is refused, or does not know it."""
    (info,) = await _ask(ask, [("INFO", "replication")])
    return _found(rb"^role:(\w+)", info)


async def _refusal_of_transactions(ask: Ask, multi: Reply, discard: Reply) -> Optional[ReplyError]:
    """Return why transactions are refused, or None; without MULTI each command is run by itself."""
    if isinstance(multi, ReplyError):
        return multi
    if not isinstance(discard, ReplyError):
        return None
    (done,) = await _ask(ask, [("EXEC",)])
    if not isinstance(done, ReplyError):
        return None
    if done.code != "EXECABORT":  # which says that the transaction has been given up
        raise _Trapped(done)
    return None if done.reason is done else done.reason  # the refused DISCARD has spoiled it


def _found(pattern: bytes, info: Reply) -> Optional[str]:
    match = re.search(pattern, info, re.MULTILINE) if isinstance(info, bytes) else None
    return match.group(1).decode() if match else None
