"""Turns commands into bytes."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Optional

import hiredis
from redis.asyncio.connection import Connection

from .protocol import Command

try:
    # Its stub knows tuples of one argument only.
    _pack_command: Optional[Callable[[Any], bytes]] = hiredis.pack_command
except AttributeError:  # pragma: no cover - before 2.1
    _pack_command = None

__all__ = ["pack"]


def pack(commands: Iterable[Command]) -> bytes:
    """Return the bytes of some commands."""
    if _pack_command is not None:
        return b"".join(map(_pack_command, commands))
    return b"".join(Connection().pack_commands(commands))  # pragma: no cover
