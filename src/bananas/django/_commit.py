"""Submits that wait for the commit of the transaction that they belong to."""

from __future__ import annotations

import logging
from typing import Any, Optional, TypeVar, Union

from django.db import transaction
from django.dispatch import Signal

from .._framework_client import PreparedSubmit
from .._types import NOT_GIVEN, JSONValue, NotGiven
from ..client import Due
from ..enums import JobPriority, Priority
from ..job_type import JobType
from ..models import JobSpec
from ._client import get_client

__all__ = ["submit_failed", "submit_job_on_commit", "submit_on_commit"]

P = TypeVar("P")

_logger = logging.getLogger("bananas.django")

#: Sent where a submit fails after the commit, with ``spec``, a ``JobSpec`` that has the job's id,
#: and ``error``. Submitting the spec again is safe: a job that exists is left as it is.
submit_failed: Signal = Signal()


def submit_job_on_commit(
    name: str,
    payload: JSONValue,
    priority: Priority = JobPriority.NORMAL,
    description: str = "",
    *,
    scheduled_for: Optional[Due] = None,
    job_id: Optional[str] = None,
    routing_key: Union[str, None, NotGiven] = NOT_GIVEN,
    max_retries: int = 3,
    using: Optional[str] = None,
    robust: bool = True,
) -> str:
    """Submit a job once the transaction is committed, and return its id at once.

    A worker may be faster than a commit, and would not find what was saved. A job whose transaction
    is rolled back is never submitted. Everything is checked now, and the payload is read now: what
    changes later does not matter. Outside a transaction it is submitted at once.

    Args:
        name: The name of the handler that runs it.
        payload: The handler's input: any JSON value.
        priority: A ``JobPriority`` or its word: which list the job waits in.
        description: Free text, for people.
        scheduled_for: When it is due: an aware datetime, or a timedelta from now. None is at once.
        job_id: An id of your choice, which makes the submit idempotent; None makes a UUID.
        routing_key: The route whose workers run it, None for the flat lists; not given is the
            client's own.
        max_retries: Attempts after which a failure is final.
        using: The database whose transaction is meant; None is the default one.
        robust: Whether an error after the commit is only logged and sent as ``submit_failed``.
            False raises it too, from the ``atomic`` block that has just been committed, and then
            Django calls no further function that waits for this commit.

    Returns:
        The job's id. There is no such job before the commit.

    Raises:
        ValueError: An argument is refused.
        SerializationError: The payload is not JSON that Go accepts.
        BananasError: Outside a transaction, or without ``robust``: whatever else
            ``Client.submit_job`` raises.
    """
    spec = JobSpec(
        name, payload, priority, description, scheduled_for, job_id, routing_key, max_retries
    )
    return _submit(spec, using, robust)


def submit_on_commit(
    job_type: JobType[P, Any],
    payload: P,
    *,
    scheduled_for: Optional[Due] = None,
    job_id: Optional[str] = None,
    using: Optional[str] = None,
    robust: bool = True,
) -> str:
    """Submit a typed job once the transaction is committed, and return its id at once.

    Args:
        job_type: The job's name, types, priority, route and number of attempts.
        payload: The handler's input, of the type that ``job_type`` gives it.
        scheduled_for: When it is due: an aware datetime, or a timedelta from now. None is at once.
        job_id: An id of your choice, which makes the submit idempotent; None makes a UUID.
        using: The database whose transaction is meant; None is the default one.
        robust: As in ``submit_job_on_commit``.

    Returns:
        The job's id. There is no such job before the commit.

    Raises:
        SerializationError: The payload is not of its type; the message says where.
        BananasError: Whatever else ``submit_job_on_commit`` raises.
    """
    spec = job_type.spec(payload, scheduled_for=scheduled_for, job_id=job_id)
    return _submit(spec, using, robust)


def _submit(spec: JobSpec, using: Optional[str], robust: bool) -> str:
    submit = PreparedSubmit(get_client(), spec)
    connection = transaction.get_connection(using)
    if not connection.in_atomic_block and connection.get_autocommit():
        return submit.send()
    transaction.on_commit(lambda: _send(submit, robust), using=using)
    return submit.job_id


def _send(submit: PreparedSubmit, robust: bool) -> None:
    try:
        submit.send()
    except Exception as error:
        spec = submit.spec
        text = "after the commit, job %s (%s) could not be submitted: %s"
        facts = {
            "bananas_event": "not_submitted",
            "job_id": spec.job_id,
            "job_name": spec.name,
            "error_type": type(error).__name__,
        }
        _logger.exception(text, spec.job_id, spec.name, error, extra=facts)
        submit_failed.send_robust(JobSpec, spec=spec, error=error)
        if not robust:
            raise
