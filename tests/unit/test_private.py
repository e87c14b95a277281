"""The private parts of asyncio and redis-py: in one place, and checked when it is imported."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
from typing import Any

import pytest
import redis
from redis.asyncio.connection import AbstractConnection

from bananas._redis import private_api
from tests.unit.source_tree import modules

_PARTS = {
    "_buffer",
    "_log_destroy_pending",
    "_sock",
    "_ssl_protocol",
}


def test_nothing_is_missing() -> None:
    """The releases that the tests run with have all parts."""
    private_api._check()


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (AbstractConnection, "_reader"),
        (AbstractConnection, "_writer"),
        (AbstractConnection, "_connect"),
    ],
)
def test_a_release_of_redis_py_without_a_part(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    """The error names the release and the part, when the package is imported."""
    monkeypatch.delattr(place, name)
    expected = f"redis-py {redis.__version__}, which has no AbstractConnection.{name}:"
    with pytest.raises(ImportError, match=re.escape(expected)):
        private_api._check()


class _Stranger:
    """What a later Python may have in the place of a class of asyncio's."""

    def __init__(self) -> None:
        """Remember nothing."""


def test_a_python_without_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the Python and the part."""
    monkeypatch.setattr(asyncio, "StreamReader", _Stranger)
    expected = f"Python {sys.version.split()[0]}, which has no StreamReader._buffer:"
    with pytest.raises(ImportError, match=re.escape(expected)):
        private_api._check()


def test_the_parts_are_touched_in_one_place() -> None:
    """No other module knows them."""
    found = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in _PARTS
    }
    assert found == {"_redis.private_api"}
