"""Endpoint: where a Redis server listens, and who we are to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional, Tuple

__all__ = ["Endpoint"]


@dataclass(frozen=True)
class Endpoint:
    """Where Redis listens and who we are to it.

    Attributes:
        scheme: ``redis``, ``rediss`` (TLS) or ``unix``.
        host: Name or address of the server; empty for a Unix socket.
        port: TCP port.
        path: Path of a Unix socket; empty for TCP.
        db: Number of the logical database.
        username: ACL user; None is Redis's default user.
        password: Never shown.
        tls: The ``ssl_*`` options of a ``rediss`` URL.
    """

    scheme: str = "redis"
    host: str = "localhost"
    port: int = 6379
    path: str = ""
    db: int = 0
    username: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)
    tls: Tuple[Tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}?db={self.db}" if self.db else f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/{self.db}"
