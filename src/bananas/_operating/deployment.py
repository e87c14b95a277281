"""Deployment: what the operating calls of one client work on."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence

from .. import exceptions as exc
from .._redis import Command, Reply, ReplyError
from .._wire import Keys
from .connection import OperatingConnection

__all__ = ["Deployment", "granted", "id_of", "member_of", "name_of"]


class Deployment(NamedTuple):
    """The queue of one client.

    Attributes:
        connection: Carries the commands.
        keys: The names of everything.
        routing_key: The client's own route; None for the flat lists.
        failure_ttl: Seconds that the result of a job is kept that one of the calls ends.
    """

    connection: OperatingConnection
    keys: Keys
    routing_key: Optional[str]
    failure_ttl: int

    async def read(self, commands: Sequence[Command], task: str = "read the queue") -> List[Any]:
        """Run commands that may be run twice.

        Args:
            commands: What to run.
            task: What it is for, for the message.

        Raises:
            exceptions.ServerError: Redis refuses one of them.
        """
        return granted(await self.connection.run(commands, again=True), task)

    async def ask(self, command: Command, task: str = "read the queue") -> Any:
        """Run one such command."""
        (reply,) = await self.read([command], task)
        return reply


def granted(replies: List[Reply], task: str, job_id: Optional[str] = None) -> List[Any]:
    """Return replies, none of which is a refusal.

    Args:
        replies: The replies.
        task: What was asked for, for the message, as in ``delete job x``.
        job_id: The job, if it is one.

    Raises:
        exceptions.ServerError: One is a refusal.
    """
    for reply in replies:
        if isinstance(reply, ReplyError):
            reason = reply.reason
            raise exc.ServerError(
                f"Redis refuses to {task}: {reason}", job_id=job_id, code=reason.code
            )
    return replies


def id_of(member: bytes) -> str:
    """Return an id of any bytes as text, a byte that is not UTF-8 as a lone surrogate."""
    return member.decode("utf-8", "surrogateescape")


def member_of(job_id: str) -> bytes:
    """Return the bytes of such an id."""
    return job_id.encode("utf-8", "surrogateescape")


def name_of(key: bytes) -> str:
    """Return the name of a key, for people."""
    return key.decode("utf-8", "replace")
