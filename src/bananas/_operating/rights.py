"""Asks Redis for the rights to do something before it is done, and says which is missing."""

from __future__ import annotations

from typing import List, Optional, Sequence

from .. import exceptions as exc
from .._redis import TRANSIENT, Command, Reply, ReplyError
from .connection import OperatingConnection, was_not_sent

__all__ = ["check_rights", "queue_and_discard", "refuse_missing"]

_MULTI: Command = (b"MULTI",)
_DISCARD: Command = (b"DISCARD",)


async def check_rights(
    connection: OperatingConnection,
    commands: Sequence[Command],
    task: str,
    job_id: Optional[str] = None,
) -> None:
    """Have Redis queue commands in a transaction, each of which it may refuse, and discard it.

    Args:
        connection: Carries it.
        commands: What is about to be done, with the very keys and channels.
        task: What that is, for the message, as in ``cancel job x``.
        job_id: The job, if it is one.

    Raises:
        exceptions.ServerError: Redis refuses one of them; nothing was done.
        exceptions.ConnectionError: No connection can be had, or two in a row were lost.
        exceptions.TimeoutError: Redis did not answer in time, twice.
    """
    try:
        await _probe(connection, commands, task, job_id)
    except (exc.ConnectionError, exc.TimeoutError) as error:
        if was_not_sent(error):
            raise
        # Nothing of it is carried out, so it may be done twice.
        await _probe(connection, commands, task, job_id)


async def _probe(
    connection: OperatingConnection, commands: Sequence[Command], task: str, job_id: Optional[str]
) -> None:
    replies = await queue_and_discard(connection, commands)
    refuse_missing([_MULTI, *commands, _DISCARD], replies, task, job_id)


async def queue_and_discard(
    connection: OperatingConnection, commands: Sequence[Command]
) -> List[Reply]:
    """Have Redis queue commands in a transaction, and discard it.

    Returns:
        The replies to MULTI, to the commands and to DISCARD; where MULTI is refused, to that alone.
    """
    async with connection.exclusive() as held:
        # It goes alone: were it refused, the commands would be carried out.
        begun = await held.run([_MULTI])
        if isinstance(begun[0], ReplyError):
            return begun
        return begun + await held.run([*commands, _DISCARD])


def refuse_missing(
    commands: Sequence[Command],
    replies: Sequence[Reply],
    task: str,
    job_id: Optional[str] = None,
) -> None:
    """Raise an error that names the first command that was refused, and what it was refused for.

    Args:
        commands: What was asked.
        replies: The replies, of which there may be fewer.
        task: What was to be done, for the message, as in ``cancel job x``.
        job_id: The job, if it is one.

    Raises:
        exceptions.ServerError: One was refused.
    """
    for command, reply in zip(commands, replies):
        if isinstance(reply, ReplyError):
            raise _refusal(command, reply, task, job_id)


def _refusal(
    command: Command, reply: ReplyError, task: str, job_id: Optional[str]
) -> exc.ServerError:
    """Return the error that says that nothing was done, and for want of which right."""
    name = _text(command[0]).upper()
    if reply.code == "NOPERM":
        subject = _subject(name, command, reply)
        reason = f"the user has no right to {subject}: grant it, or use another user"
    elif reply.code in TRANSIENT:
        reason = f"Redis refuses {name} for now: {reply}"
    else:
        reason = f"Redis refuses {name}: {reply}"
    return exc.ServerError(
        f"can't {task}, and nothing was done: {reason}", job_id=job_id, code=reply.code
    )


def _subject(name: str, command: Command, reply: ReplyError) -> str:
    """Say what is not granted: a command, its key or its channel."""
    if "channel" in reply.text:
        return f"{name} on the channel {_text(command[1])}"
    if "key" in reply.text and len(command) > 1 and name != "EVAL":
        keys = command[1:] if name in ("DEL", "MGET", "WATCH") else command[1:2]
        return f"{name} the key {' or '.join(map(_text, keys))}"
    if name == "EVAL" and "key" in reply.text:
        return "EVAL with the keys of this job"
    return f"the command {name}"


def _text(argument: object) -> str:
    if isinstance(argument, bytes):
        return argument.decode("utf-8", "replace")
    return str(argument)
