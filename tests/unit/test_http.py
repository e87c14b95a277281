"""What a web application answers to each error, and the ids of idempotency keys."""

from __future__ import annotations

import logging
from typing import Any, Dict, Optional

import pytest

from bananas import JobPlace
from bananas import exceptions as exc
from bananas._http import IdempotencyKeyReusedError, answer_to, hashed_job_id, log_answer


def over(place: Optional[JobPlace] = None) -> exc.TimeoutError:
    """Return what a wait ends with whose time is over."""
    return exc.TimeoutError("m", job_id="j", whereabouts=place)


ANSWERS: Dict[str, Any] = {
    "unreachable": (exc.ConnectionError("redis://host"), 503, True),
    "unreachable for good": (exc.ConnectionError("m", permanent=True), 503, False),
    "refused credentials": (exc.AuthenticationError("m", permanent=True), 503, False),
    "may be done": (exc.ConnectionError("m", sent=True), 503, False),
    "unknown outcome": (exc.OutcomeUnknownError("m", job_id="j"), 202, False),
    "a wait that is over": (over(JobPlace.TAKEN), 202, False),
    "a wait in the dark": (over(), 202, False),
    "a wait for no job": (over(JobPlace.MISSING), 404, False),
    "cancelled in the end": (over(JobPlace.CANCELLED), 504, False),
    "a slow read": (exc.TimeoutError("m"), 503, True),
    "a cancel that gives up": (exc.TimeoutError("m", job_id="j", not_done=True), 503, True),
    "no such job": (exc.JobNotFoundError("m", job_id="j"), 404, False),
    "result gone": (exc.ResultNotFoundError("m", job_id="j"), 410, False),
    "failed": (exc.JobFailedError("m", job_id="j", error="geheim"), 502, False),
    "cancelled": (exc.JobCancelledError("m", job_id="j"), 409, False),
    "exists": (exc.JobExistsError("m", job_id="j"), 409, False),
    "key reused": (IdempotencyKeyReusedError("m", job_id="j"), 422, False),
    "rejected": (exc.JobRejectedError("m", job_id="j", code="NOPERM"), 503, False),
    "rejected for now": (exc.JobRejectedError("m", job_id="j", code="OOM"), 503, True),
    "server error": (exc.ServerError("m", code="WRONGTYPE"), 503, False),
    "not JSON": (exc.SerializationError("m"), 422, False),
    "unreadable": (exc.SerializationError("m", job_id="j"), 502, False),
    "closed": (exc.ClientClosedError("m"), 503, True),
    "closed during a submit": (exc.ClientClosedError("m", job_id="j"), 503, False),
    "anything else": (exc.BananasError("m"), 500, False),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str) -> None:
    """Each error has a status, its ids, the server's code, and none of its words."""
    error, status, may_retry = ANSWERS[name]
    answer = answer_to(error, retry_after=3)
    assert (answer.status, answer.headers.get("Retry-After")) == (
        status,
        "3" if may_retry else None,
    )
    assert answer.body.get("job_id") == error.job_id
    assert answer.body.get("code") == (getattr(error, "code", None) or None)
    assert "geheim" not in repr(answer)
    assert "redis://" not in repr(answer)
    kind = "application/json" if status == 202 else "application/problem+json"
    assert answer.media_type == kind
    assert answer.location_of == ("j" if status == 202 else None)
    assert answer.body.get("place") == (str(JobPlace.TAKEN) if "wait that is" in name else None)


def test_several_jobs() -> None:
    """An error about many jobs names them, and those that were queued all the same."""
    error = exc.OutcomeUnknownError("m", job_id="a", job_ids=("a", "b"), submitted=("c",))
    body = answer_to(error).body
    assert (body["job_ids"], body["submitted"]) == (["a", "b"], ["c"])


def test_what_a_worker_recorded_is_shown_on_request() -> None:
    """The text of a failure is given to callers only where the application says so."""
    error = exc.JobFailedError("m", job_id="j", error="no stock")
    assert answer_to(error, show_errors=True).body["reason"] == "no stock"


def test_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """What the operator has to know is logged, and no worker's text."""
    caplog.set_level(logging.DEBUG, "bananas.http")
    for error in (
        exc.ConnectionError("can't reach it"),
        exc.JobFailedError("geheim", job_id="j"),
        exc.JobNotFoundError("m"),
    ):
        log_answer(error, answer_to(error))
    assert caplog.messages == [
        "answered 503 to a request: ConnectionError: can't reach it",
        "answered 502 to a request: JobFailedError: job j failed",
    ]


@pytest.mark.parametrize(
    ("key", "tenant", "route", "secret"),
    [
        ("b", "t", "r", "s"),
        ("k", "u", "r", "s"),
        ("k", "t", "q", "s"),
        ("k", "t", "r", None),
        ("kt", "", "r", "s"),
    ],
)
def test_ids_of_keys(key: str, tenant: str, route: str, secret: Optional[str]) -> None:
    """Another key, tenant, route or secret is another job."""
    known = hashed_job_id("k", tenant="t", route="r", secret="s")
    assert known == hashed_job_id("k", tenant="t", route="r", secret=b"s")
    assert hashed_job_id(key, tenant=tenant, route=route, secret=secret or b"") != known


def test_a_secret_that_is_none() -> None:
    """A secret that was not configured is refused, rather than left out."""
    with pytest.raises(ValueError, match="secret must be a string or bytes, not NoneType"):
        hashed_job_id("k", tenant="t", route="r", secret=None)  # type: ignore[arg-type]
