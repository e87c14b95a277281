"""The registry of waits."""

from __future__ import annotations

import asyncio

from bananas._waiters import Waiter, Waiters


async def waiter(job_id: str = "a", any_attempt: bool = False) -> Waiter:
    """Return a wait whose future belongs to the running loop."""
    return Waiter(job_id, asyncio.get_running_loop().create_future(), any_attempt=any_attempt)


async def test_first_and_last() -> None:
    """The first wait for a job is told apart from the others; the last one takes it away."""
    waiters, first, second = Waiters(), await waiter(), await waiter()
    assert waiters.add(first) is True
    assert waiters.add(second) is False
    waiters.remove(first)
    assert "a" in waiters
    waiters.remove(second)
    assert "a" not in waiters
    waiters.remove(second)
    assert waiters.add(first) is True


async def test_jobs() -> None:
    """A job is there as long as anybody waits for it."""
    waiters, one, other = Waiters(), await waiter("a"), await waiter("b")
    waiters.add(one)
    waiters.add(other)
    assert (len(waiters), list(waiters)) == (2, ["a", "b"])
    waiters.remove(one)
    assert ("a" in waiters, "b" in waiters) == (False, True)


async def test_removing_a_stranger() -> None:
    """A wait that was never taken in changes nothing."""
    waiters, known = Waiters(), await waiter()
    waiters.add(known)
    waiters.remove(await waiter())
    assert waiters.of("a") == [known]


async def test_served_waits_are_not_served_again() -> None:
    """Only those who still wait are to be told."""
    waiters, served, cancelled, open_ = Waiters(), await waiter(), await waiter(), await waiter()
    for one in (served, cancelled, open_):
        waiters.add(one)
    served.future.set_result(None)
    cancelled.future.cancel()
    assert waiters.of("a") == [open_]
    assert waiters.of("nobody's") == []
