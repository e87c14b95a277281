"""The registry of waits."""

from __future__ import annotations

import pytest

from bananas._waits.registry import Look, Registry, State, Wait


def test_the_last_wait_takes_its_job_away() -> None:
    """A job is there as long as anybody waits for it."""
    registry, first, second, other = Registry(), Wait("a"), Wait("a"), Wait("b")
    job = registry.add(first)
    assert registry.add(second) is job
    registry.add(other)
    assert [each.job_id for each in registry] == ["a", "b"]
    assert registry.remove(first) is None
    assert registry.get("a") is job
    assert registry.remove(second) is job
    assert registry.remove(second) is None
    assert (registry.get("a"), len(registry)) == (None, 1)


def test_removing_a_stranger() -> None:
    """A wait that was never taken in changes nothing."""
    registry, known = Registry(), Wait("a")
    registry.add(known)
    assert registry.remove(Wait("a")) is None
    job = registry.get("a")
    assert job is not None
    assert job.waits == [known]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Look.RESULT, None, Look.RESULT),
        (Look.PERIODIC, None, Look.PERIODIC),
        (Look.RESULT, Look.RESULT, Look.RESULT),
        (Look.RESULT, Look.PERIODIC, Look.DOCUMENT),
        (Look.PERIODIC, Look.DOCUMENT, Look.DOCUMENT),
    ],
)
def test_one_look_for_two(one: Look, other: Look, both: Look) -> None:
    """Two looks that are wanted at once become one that reads enough for both."""
    assert one.joined_with(other) is both


def test_resting_states() -> None:
    """Between two looks a job is where its channel and its result left it."""
    job = Registry().add(Wait("a"))
    assert job.resting_state is State.SUBSCRIBING
    job.is_confirmed = True
    assert job.resting_state is State.LISTENING
    job.mark = ()
    assert job.resting_state is State.GRACE
