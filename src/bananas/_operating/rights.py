"""Asks Redis for the rights to do something before it is done, and says which is missing."""

from __future__ import annotations

from typing import Optional, Sequence

from .. import exceptions as exc
from .._redis import TRANSIENT, Command, Reply, ReplyError
from .connection import OperatingConnection, was_not_sent

__all__ = ["check_rights", "missing_right", "refusal"]

#: What ends a probe, so that nothing of it is carried out.
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
    begin: Command = (b"MULTI",)
    async with connection.exclusive() as held:
        # It goes alone: were it refused, the commands would be carried out.
        (reply,) = await held.run([begin])
        if isinstance(reply, ReplyError):
            raise refusal(begin, reply, task, job_id)
        replies = await held.run([*commands, _DISCARD])
        error = missing_right(commands, replies, task, job_id)
        if error is not None:
            raise error


def missing_right(
    commands: Sequence[Command],
    replies: Sequence[Reply],
    task: str,
    job_id: Optional[str] = None,
) -> Optional[exc.ServerError]:
    """Return the error that names the command and what it was refused for; None if all is granted.

    Args:
        commands: What was probed.
        replies: The replies to them, and to the DISCARD.
        task: What was to be done, for the message, as in ``cancel job x``.
        job_id: The job, if it is one.
    """
    for command, reply in zip([*commands, _DISCARD], replies):
        if isinstance(reply, ReplyError):
            return refusal(command, reply, task, job_id)
    return None


def refusal(
    command: Command, reply: ReplyError, task: str, job_id: Optional[str] = None
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
