"""Loopback addresses for the servers that tests start."""

from __future__ import annotations

import random
import socket
from typing import Optional
from urllib.parse import quote

__all__ = ["HOST", "free_port", "redis_url"]

HOST = "127.0.0.1"

# Below the range that systems take for outgoing connections: a port given up for a while is then
# still free later, and a client that dials it meanwhile never connects to itself.
_FIRST, _LAST = 15000, 32000

# Not the shared generator: a test that seeds it would have every run pick the same ports.
_random = random.SystemRandom()


def free_port() -> int:
    """Return a port on which nothing listens."""
    for _ in range(100):
        port = _random.randint(_FIRST, _LAST)
        with socket.socket() as sock:
            try:
                sock.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port from {_FIRST} to {_LAST}")


def redis_url(
    port: int,
    db: int = 0,
    username: Optional[str] = None,
    password: Optional[str] = None,
    scheme: str = "redis",
) -> str:
    """Return the URL of a server on loopback, its credentials percent-encoded."""
    login = ""
    if password is not None:
        login = "{}:{}@".format(quote(username or "", safe=""), quote(password, safe=""))
    return f"{scheme}://{login}{HOST}:{port}/{db}"
