"""What the log is told of a connection: each event once."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, List

import pytest

from bananas import exceptions as exc
from bananas._redis import ConnectionLog, connection_log
from bananas._redis.protocol import LinkLost
from bananas._redis.url import parse_url

HERE, THERE = parse_url("redis://here"), parse_url("redis://there")
REFUSED = exc.ConnectionError("connection refused")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> ConnectionLog:
    """A log, by a clock on which every look takes a second."""
    clock = iter(range(100))
    monkeypatch.setattr(connection_log, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    caplog.set_level(logging.INFO, "bananas")
    return ConnectionLog("results")


def told(caplog: pytest.LogCaptureFixture) -> List[Any]:
    """Return the events since the last call."""
    found = [vars(record) for record in caplog.records]
    caplog.clear()
    return [(one["bananas_event"], one["redis_address"], one.get("seconds")) for one in found]


def test_each_event_is_told_once(log: ConnectionLog, caplog: pytest.LogCaptureFixture) -> None:
    """A loss, the attempts after it and the new connection are one line each, every time."""
    log.connected(HERE, "a")
    assert told(caplog) == []
    for _ in range(2):
        for _ in range(2):
            log.lost(HERE, LinkLost("it is silent"))
            log.refused(REFUSED)
        log.connected(HERE, "a")
        assert told(caplog) == [
            ("connection_lost", str(HERE), None),
            ("no_connection", str(HERE), None),
            ("connected", str(HERE), 1),
        ]


def test_first_attempt_fails(log: ConnectionLog, caplog: pytest.LogCaptureFixture) -> None:
    """There is no address yet; the time without a connection counts from there."""
    for _ in range(3):
        log.refused(REFUSED)
    log.connected(HERE, "a")
    assert told(caplog) == [("no_connection", None, None), ("connected", str(HERE), 1)]


def test_another_server(log: ConnectionLog, caplog: pytest.LogCaptureFixture) -> None:
    """One at another address is another one, and so is another process at the same."""
    log.connected(HERE, "a")
    log.connected(THERE, "a")
    assert told(caplog) == [("another_server", str(THERE), None)]
    log.connected(THERE, "b")
    assert told(caplog) == [("another_server", str(THERE), None)]
    log.connected(THERE, "b")
    assert told(caplog) == []
