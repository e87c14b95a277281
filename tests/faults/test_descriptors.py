"""A moment without free file descriptors ends nothing for good."""

from __future__ import annotations

import pytest

from tests.support import RedisServer

from .running import Program


@pytest.mark.parametrize("act", ["listener", "pipeline", "first client", "blocking"])
def test_no_free_descriptor(redis_server: RedisServer, act: str) -> None:
    """While there is none, calls say that they were not sent; afterwards everything works."""
    with Program("starving", act, redis_server.url(), str(redis_server.port)) as program:
        program.expect("well")
        program.end()
