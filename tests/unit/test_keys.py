"""The names of everything in Redis."""

from __future__ import annotations

import pytest

from bananas._wire.keys import Keys
from bananas.models import JobPriority


def test_names_that_go_knows() -> None:
    """By default every name is the one that Go workers use."""
    keys = Keys()
    assert keys.job("a-1") == b"bananas:job:a-1"
    assert keys.result("a-1") == b"bananas:result:a-1"
    assert keys.channel("a-1") == b"bananas:result:notify:a-1"
    assert keys.processing == b"bananas:queue:processing"
    assert keys.dead == b"bananas:queue:dead"
    assert keys.scheduled == b"bananas:queue:scheduled"


@pytest.mark.parametrize("priority", JobPriority)
def test_lists(priority: JobPriority) -> None:
    """Each priority has a flat list, and one for each route."""
    assert Keys().ready(priority, None) == f"bananas:queue:{priority.value}".encode()
    route = f"bananas:route:eu-1:queue:{priority.value}".encode()
    assert Keys().ready(priority, "eu-1") == route


def test_lists_in_the_order_of_a_worker() -> None:
    """A worker empties the lists of a route from the high ones to the low ones."""
    assert Keys().all_ready([None, "gpu"]) == [
        b"bananas:queue:high",
        b"bananas:queue:normal",
        b"bananas:queue:low",
        b"bananas:route:gpu:queue:high",
        b"bananas:route:gpu:queue:normal",
        b"bananas:route:gpu:queue:low",
    ]


def test_prefix() -> None:
    """Another prefix stands before every name."""
    keys = Keys("test.")
    names = [keys.job("a"), keys.result("a"), keys.channel("a"), keys.processing, keys.dead,
             keys.scheduled, *keys.all_ready([None, "eu"])]  # fmt: skip
    assert all(name.startswith(b"test.") for name in names)
    assert len(set(names)) == len(names)


def test_made_up_routes_cost_no_memory() -> None:
    """The names of any number of routes are right, and only some of them are kept."""
    keys = Keys()
    for number in range(4000):
        name = f"bananas:route:r{number}:queue:low".encode()
        assert keys.ready(JobPriority.LOW, f"r{number}") == name
    assert len(keys._lists) <= 3000


def test_repr() -> None:
    """The prefix tells deployments apart."""
    assert repr(Keys("x:")) == "Keys('x:')"


def test_pattern_of_all_keys() -> None:
    """What SCAN reads as a wildcard stands for itself in a prefix."""
    assert Keys().everything == "bananas:*"
    assert Keys("a*b?[c]\\:").everything == r"a\*b\?\[c\]\\:*"
