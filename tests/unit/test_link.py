"""A connection on an event loop that is not asyncio's own."""

from __future__ import annotations

from typing import List

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
