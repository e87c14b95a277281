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
#: and ``error``. You can submit the spec again: a job that exists is not changed.
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
    """Submit a job after the commit of the transaction, and return its id at once.

    After a rollback, the job is not submitted. Outside a transaction, it is submitted at once.
    Arguments are checked and the payload is converted when you call this, so later changes of the
    payload have no effect.

    Args:
        name: The name of the handler.
        payload: The handler's input: any JSON value.
        priority: ``"high"``, ``"normal"`` or ``"low"``, or a ``JobPriority``.
        description: Any text, for people.
        scheduled_for: When the job is due: an aware datetime, or a timedelta from now. None means
            at once.
        job_id: Your own id, which makes the submit idempotent. None makes a UUID.
        routing_key: The route whose workers run it. The default is the client's route; None means
            the flat lists.
        max_retries: The number of attempts after which a failure is final.
        using: The database of the transaction; None is the default database.
        robust: True only logs an error after the commit and sends the signal ``submit_failed``.
            False also raises it from the ``atomic`` block, although this is committed. Django then
            skips its other ``on_commit`` functions.

    Returns:
        The job's id. The job does not exist before the commit.

    Raises:
        ValueError: An argument is not valid.
        SerializationError: The payload is not JSON that Go accepts.
        BananasError: All other errors of ``Client.submit_job``, outside a transaction or with
            ``robust=False``.
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
    """Submit a typed job after the commit of the transaction, and return its id at once.

    Args:
        job_type: The name, types, priority, route and number of attempts of the job.
        payload: The handler's input, of the payload type of ``job_type``.
        scheduled_for: When the job is due: an aware datetime, or a timedelta from now. None means
            at once.
        job_id: Your own id, which makes the submit idempotent. None makes a UUID.
        using: The database of the transaction; None is the default database.
        robust: As in ``submit_job_on_commit``.

    Returns:
        The job's id. The job does not exist before the commit.

    Raises:
        SerializationError: The payload does not have the right type; the message says where.
        BananasError: All other errors of ``submit_job_on_commit``.
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
