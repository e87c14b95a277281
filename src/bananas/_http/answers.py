"""The HTTP answer to each error of this package."""

from __future__ import annotations

import http
import logging
from typing import Any, Dict, NamedTuple, Optional, Tuple

from .. import exceptions as exc
from ..location import JobPlace
from .idempotency_key import IdempotencyKeyReusedError

__all__ = ["Answer", "answer_to", "log_answer", "waiting_answer"]

_logger = logging.getLogger("bananas.http")

# The first words of refusals that may pass by themselves.
_PASSING = frozenset(
    {
        "BUSY",
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "NOREPLICAS",
        "OOM",
        "READONLY",
        "TRYAGAIN",
    }
)


class Answer(NamedTuple):
    """What to answer.

    Attributes:
        status: The HTTP status.
        body: What to send as JSON.
        headers: Further headers.
        location_of: The job whose URL the header ``Location`` is to have; None where it has none.
    """

    status: int
    body: Dict[str, Any]
    headers: Dict[str, str]
    location_of: Optional[str] = None

    @property
    def media_type(self) -> str:
        """The media type of the body: problem details (RFC 9457) where it tells of an error."""
        return "application/json" if self.status < 400 else "application/problem+json"


class _Problem(NamedTuple):
    status: int
    error: str
    detail: str
    may_retry: bool = False


def answer_to(
    error: exc.BananasError, *, retry_after: int = 5, show_errors: bool = False
) -> Answer:
    """Return the answer to a request that an error has ended.

    It has the ids of jobs, their places, and the code of Redis. It has no message of an error,
    which may name hosts, and what a worker recorded only if asked to: that may be anything.

    Args:
        error: What was raised.
        retry_after: Seconds for the header ``Retry-After``, where trying again is of use.
        show_errors: Whether the answer has the text that the worker recorded of a failure.
    """
    if isinstance(error, exc.OutcomeUnknownError):
        detail = "the job was queued once or not at all; its location shows which"
        return _waiting(error, None, detail=detail)
    if isinstance(error, exc.TimeoutError) and error.job_ids and _goes_on(error):
        return _waiting(error, error.whereabouts)
    problem = _problem(error)
    body: Dict[str, Any] = {
        "title": http.HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "error": problem.error,
        **_ids(error),
    }
    if isinstance(error, exc.ServerError) and error.code:
        body["code"] = error.code
    if isinstance(error, exc.JobFailedError) and show_errors:
        body["reason"] = error.error
    headers = {"Retry-After": str(retry_after)} if problem.may_retry else {}
    return Answer(problem.status, body, headers)


def waiting_answer(job_id: Optional[str], place: Optional[JobPlace] = None) -> Answer:
    """Return the answer about a job that may not have ended: 202, with its place if it is known."""
    body = {"job_id": job_id}
    if place is not None:
        body["place"] = str(place)
    return Answer(202, body, {}, job_id)


def log_answer(error: exc.BananasError, answer: Answer) -> None:
    """Log an error that nobody but the operator can do something about.

    A worker's text is not logged: it may be anything.
    """
    if answer.status < 500 and not isinstance(error, exc.OutcomeUnknownError):
        return
    text = f"job {error.job_id} failed" if isinstance(error, exc.JobFailedError) else str(error)
    kind = type(error).__name__
    facts = {
        "bananas_event": "answered_with_error",
        "http_status": answer.status,
        "error_type": kind,
        "job_id": error.job_id,
    }
    _logger.warning("answered %d to a request: %s: %s", answer.status, kind, text, extra=facts)


def _waiting(error: exc.BananasError, place: Optional[JobPlace], **members: str) -> Answer:
    answer = waiting_answer(error.job_id, place)
    return answer._replace(body={**answer.body, **_ids(error), **members})


def _goes_on(error: exc.TimeoutError) -> bool:
    """Whether a wait is over for a job that may still end, since it is there and not cancelled."""
    return not error.not_done and error.whereabouts not in (JobPlace.MISSING, JobPlace.CANCELLED)


def _ids(error: exc.BananasError) -> Dict[str, Any]:
    """Return what names the jobs that an error is about."""
    found: Dict[str, Any] = {}
    if error.job_id is not None:
        found["job_id"] = error.job_id
    if len(error.job_ids) > 1 or (error.job_ids and error.job_id is None):
        found["job_ids"] = list(error.job_ids)
    if error.submitted:
        found["submitted"] = list(error.submitted)
    return found


def _problem(error: exc.BananasError) -> _Problem:
    """Return what the answer to an error says."""
    problem = next(found for kind, found in _PROBLEMS if isinstance(error, kind))
    if isinstance(error, exc.SerializationError) and error.job_id is None:
        return _Problem(422, "not-serializable", "a value is not JSON that the queue accepts")
    if isinstance(error, exc.ServerError):
        return problem._replace(may_retry=error.code in _PASSING)
    if isinstance(error, exc.ConnectionError) and error.sent:
        detail = "the queue can't be reached; the request may have been carried out"
        return _Problem(503, "outcome-unknown", detail)
    if isinstance(error, exc.ConnectionError) and error.permanent:
        return problem._replace(may_retry=False)
    if isinstance(error, exc.ClientClosedError) and error.job_ids:
        return problem._replace(may_retry=False)  # it may be queued: use the id to find out
    if isinstance(error, exc.TimeoutError) and error.not_done:
        return _Problem(503, "busy", "the job kept changing; nothing was done", True)
    if isinstance(error, exc.TimeoutError) and error.whereabouts is JobPlace.MISSING:
        return _NOT_FOUND
    if isinstance(error, exc.TimeoutError) and error.whereabouts is JobPlace.CANCELLED:
        return _Problem(504, "job-cancelled", "the job has not ended in time, and was cancelled")
    return problem


_NOT_FOUND = _Problem(404, "job-not-found", "there is no such job")
#: The first that fits counts.
_PROBLEMS: Tuple[Tuple[type, _Problem], ...] = (
    (
        IdempotencyKeyReusedError,
        _Problem(422, "idempotency-key-reused", "the idempotency key belongs to another request"),
    ),
    (exc.JobNotFoundError, _NOT_FOUND),
    (
        exc.ResultNotFoundError,
        _Problem(410, "result-gone", "the job has completed, and its result is gone"),
    ),
    (exc.JobCancelledError, _Problem(409, "job-cancelled", "the job was cancelled")),
    (exc.JobFailedError, _Problem(502, "job-failed", "the job failed")),
    (exc.JobExistsError, _Problem(409, "job-exists", "a job with this id exists already")),
    (
        exc.JobRejectedError,
        _Problem(503, "job-rejected", "the queue refused the job; nothing is queued"),
    ),
    (exc.ServerError, _Problem(503, "refused", "the queue refused the request")),
    (
        exc.SerializationError,
        _Problem(502, "unreadable", "the stored data of the job can't be read"),
    ),
    (
        exc.ConnectionError,
        _Problem(503, "unreachable", "the queue can't be reached; nothing was queued", True),
    ),
    (exc.TimeoutError, _Problem(503, "no-answer", "the queue did not answer in time", True)),
    (exc.ClientClosedError, _Problem(503, "stopping", "the server is stopping", True)),
    (exc.BananasError, _Problem(500, "internal", "the request failed")),
)
