"""Whose turn it is to be looked at."""

from __future__ import annotations

from bananas._waits.pacing import Pacing


def test_many_jobs() -> None:
    """Few are looked at in one round, the oldest first; each has its turn."""
    pacing = Pacing(5.0)
    names = [str(number) for number in range(250)]
    for name in names:
        pacing.add(name, 0.0)
    assert [pacing.take_due(1.0) for _ in range(4)] == [
        names[:100],
        names[100:200],
        names[200:],
        [],
    ]
    assert pacing.take_due(5.9) == []
    assert pacing.take_due(6.0) == names[:100]


def test_new_jobs_come_first() -> None:
    """Those that were never looked at do not wait for the others."""
    pacing = Pacing(5.0)
    for number in range(150):
        pacing.add(str(number), 0.0)
    pacing.take_due(1.0)
    pacing.take_due(1.0)
    pacing.add("new", 5.5)
    assert pacing.take_due(6.0)[0] == "new"
