"""What is logged has fields for programs, and stands on the page about it."""

from __future__ import annotations

import ast
import logging
import re
from typing import Dict, Iterator, Set, Tuple

import pytest

from bananas import exceptions as exc
from bananas._redis import ConnectionLog, Endpoint, LinkLost
from tests.unit.source_tree import ROOT, modules

PAGE = (ROOT.parents[1] / "docs" / "how-to" / "logging.md").read_text(encoding="utf-8")
_LEVELS = ("info", "warning", "error", "exception")


def _calls() -> Iterator[Tuple[str, ast.Call]]:
    """Yield the calls that log something above DEBUG, outside the stand-ins for tests."""
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _LEVELS
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in ("_log", "_logger")
                and name not in ("testing.worker", "testing.scheduler")
            ):
                yield name, node


def test_every_record_has_fields() -> None:
    """A program need not read the text."""
    calls = list(_calls())
    assert len(calls) > 8
    bare = [name for name, call in calls if "extra" not in {word.arg for word in call.keywords}]
    assert bare == []


def test_every_event_is_on_the_page() -> None:
    """The page has a row for each event and each logger, and no other."""
    events: Set[str] = set()
    loggers: Set[str] = set()
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        events |= set(re.findall(r'(?:"bananas_event": |_facts\()"(\w+)"', text))
        loggers |= set(re.findall(r'getLogger\("([\w.]+)"\)', text))
    rows = re.findall(r"^\| `(bananas[\w.]*)` \| `\w+` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert {event for _, event in rows} == events
    assert {logger for logger, _ in rows} == loggers


def test_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    """Each record of a connection says what happened, where, and to which connection."""
    caplog.set_level(logging.INFO, "bananas")
    endpoint = Endpoint(host="redis.example", password="hunter2")
    log = ConnectionLog("results")
    log.connected(endpoint, "a")
    log.lost(endpoint, LinkLost("cut"))
    log.refused(exc.ConnectionError("refused"))
    log.connected(endpoint, "b")
    found = [_fields(record) for record in caplog.records]
    where = {"redis_address": "redis://redis.example:6379/0", "purpose": "results"}
    assert [fields.pop("bananas_event") for fields in found] == [
        "connection_lost", "no_connection", "connected", "another_server",
    ]  # fmt: skip
    assert isinstance(found[2].pop("seconds"), float)
    assert found == [where] * 4
    assert "hunter2" not in str([vars(record) for record in caplog.records])


def _fields(record: logging.LogRecord) -> Dict[str, object]:
    plain = vars(logging.makeLogRecord({}))
    return {
        name: value
        for name, value in vars(record).items()
        if name not in plain and name not in ("message", "asctime", "taskName")
    }
