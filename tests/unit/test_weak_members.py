"""A set of what is still referred to, which threads change while others read it."""

from __future__ import annotations

import gc
import sys
import threading
from typing import Iterator, List

import pytest

from bananas._blocking.weak_members import WeakMembers


class Member:
    """Something that is told apart by identity."""


def test_a_member_leaves_with_its_last_reference() -> None:
    """What is taken in is one member, until it is discarded or forgotten."""
    members, first, second = WeakMembers(), Member(), Member()
    for member in (first, second, first):
        members.add(member)
    assert len(members) == 2
    assert set(members.all()) == {first, second}
    members.discard(first)
    members.discard(first)
    assert members.all() == [second]
    del second, member
    gc.collect()
    assert (len(members), members.all()) == (0, [])


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Have threads take turns as often as can be."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_read_while_another_thread_changes_it(eager_threads: None) -> None:
    """Whoever reads sees the members of one moment, and no error."""
    members, lasting = WeakMembers(), [Member() for _ in range(500)]
    for member in lasting:
        members.add(member)
    errors: List[BaseException] = []

    def change() -> None:
        try:
            for _ in range(10_000):
                passing = Member()
                members.add(passing)
                members.discard(passing)
                members.add(Member())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=change)
    thread.start()
    while thread.is_alive():
        assert set(lasting) <= set(members.all())
        assert len(members) >= len(lasting)
    thread.join()
    assert errors == []
    assert len(members) == len(lasting)
