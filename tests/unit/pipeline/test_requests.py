"""What a caller is told of its request."""

from __future__ import annotations

from bananas import ConnectionError as BananasConnectionError
from bananas import JobRejectedError
from bananas._redis import ReplyError
from tests.unit.pipeline.callers import call, entry, outcome, submit

REFUSAL = ReplyError("OOM", "OOM out of memory")


def test_caller_that_has_left() -> None:
    """Nobody is told anything any more."""
    read, jobs = call(b"GET"), submit([entry("a")])
    for request in (read, jobs):
        request.future.cancel()
        request.resolve([])
        request.fail(BananasConnectionError("no"))
    jobs.settle(jobs.entries[0])
    assert jobs.left == 0


def test_read_without_a_connection() -> None:
    """The error says why there is none, and whether trying again is pointless."""
    error = call(b"GET").late(BananasConnectionError("no", permanent=True), may_be_applied=False)
    assert isinstance(error, BananasConnectionError)
    assert (str(error), error.permanent) == ("no", True)


def test_all_that_was_not_queued_is_noted() -> None:
    """A submit of several jobs ends when each has its outcome, with all that were not queued."""
    entries = [entry(name) for name in "abcde"]
    jobs = submit(entries)
    a, b, c, d, e = entries
    jobs.reject(a, REFUSAL)
    jobs.leave_alone(b)
    jobs.reject(c, REFUSAL)
    jobs.settle(d)
    assert not jobs.future.done()
    jobs.leave_alone(e)
    not_queued = outcome(jobs)
    assert not_queued.rejected == [(a, REFUSAL), (c, REFUSAL)]
    assert not_queued.existing == [b, e]


def test_error_names_the_jobs_without_an_outcome() -> None:
    """Those that were queued are not among them."""
    entries = [entry(name) for name in "abc"]
    jobs = submit(entries)
    jobs.settle(entries[0])
    error = jobs.unsent(BananasConnectionError("no"))
    assert (str(error), error.job_ids) == ("2 jobs were not sent: no", ("b", "c"))
    jobs.settle(entries[1])
    late = jobs.late(None, may_be_applied=False)
    assert isinstance(late, BananasConnectionError)
    assert (late.job_id, late.job_ids) == ("c", ("c",))
    assert str(late) == (
        "job c was not sent, and nothing is queued: the connection was busy until the deadline"
    )
    jobs.reason = REFUSAL
    assert isinstance(jobs.late(None, may_be_applied=False), JobRejectedError)
