"""A connection on an event loop that is not asyncio's own."""

from __future__ import annotations

import socket
from typing import Any, List

import pytest

from bananas._redis import Link
from bananas._redis.url import parse_url


class Lost:
    """What is left on uvloop of a connection that was lost: it knows no socket any more."""

    def __init__(self) -> None:
        self.calls: List[str] = []
        self.transport = self

    def get_extra_info(self, name: str) -> None:
        self.calls.append(name)

    def abort(self) -> None:
        self.calls.append("abort")


@pytest.mark.parametrize(
    ("drop", "calls"),
    [(Link.abort, ["socket", "abort"]), (Link.shut_down, ["socket"])],
    ids=["abort", "shut_down"],
)
def test_lost_connection_without_a_socket(drop: object, calls: List[str]) -> None:
    """It is dropped without an error."""
    link = Link(parse_url("redis://"), 1.0)
    link._writer = lost = Lost()
    assert callable(drop)
    drop(link)
    assert lost.calls == calls


class WithoutShutdown:
    """The socket that uvloop shows: it has a descriptor, and refuses to act."""

    def __init__(self, sock: socket.socket) -> None:
        self.fileno, self.family, self.type = sock.fileno, sock.family, sock.type

    def shutdown(self, _: int) -> None:
        raise TypeError("does not support shutdown()")

    def get_extra_info(self, _: str) -> WithoutShutdown:
        return self


def test_shut_down_where_the_loops_socket_refuses() -> None:
    """The connection ends all the same, while its loop does not run."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(20)
        link: Any = Link(parse_url("redis://"), 1.0)
        link._writer = WithoutShutdown(ours)
        link.shut_down()
        assert theirs.recv(1) == b""
        link._writer = None
