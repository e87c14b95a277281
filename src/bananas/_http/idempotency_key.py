"""Submits that a request with an idempotency key may repeat."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, List, Union

from .. import exceptions as exc
from .._argument_checks import check_text, kind_of
from .._wire import dumps, loads
from ..client import AsyncClient
from ..models import Job, JobSpec

__all__ = ["IdempotencyKeyReusedError", "hashed_job_id", "submit_once"]

# A job may expire between the refusal of its id and the look at it.
_ATTEMPTS = 3


class IdempotencyKeyReusedError(exc.JobExistsError):
    """An idempotency key names a job that exists, with another name or payload."""


def hashed_job_id(key: str, *, tenant: str, route: str, secret: Union[str, bytes] = b"") -> str:
    """Return the job id that belongs to an idempotency key.

    Args:
        key: What the caller sent.
        tenant: Whose key it is.
        route: What it was sent to.
        secret: What nobody who may guess the other three knows.
    """
    if not isinstance(secret, (str, bytes)):
        raise ValueError(f"secret must be a string or bytes, not {kind_of(secret)}")
    start = secret.encode() if isinstance(secret, str) else secret
    digest = hmac.new(start, digestmod=hashlib.sha256)
    for name, text in (("tenant", tenant), ("route", route), ("key", key)):
        part = check_text(text, name).encode()
        digest.update(len(part).to_bytes(8, "big") + part)  # no two triples look the same
    return f"idem-{digest.hexdigest()}"


async def submit_once(client: AsyncClient, spec: JobSpec) -> str:
    """Submit a job that an earlier request may have submitted.

    Args:
        client: The client.
        spec: The job. One without a ``job_id`` is submitted as any other.

    Returns:
        The job's id.

    Raises:
        IdempotencyKeyReusedError: There is a job with this id and another name or payload.
        BananasError: Whatever else ``submit_job`` and ``get_job`` raise.

    Cancelling it may leave the job queued, once, or not at all.
    """
    existing = None
    for _ in range(_ATTEMPTS):
        try:
            return (await client.submit_jobs([spec], if_exists="raise"))[0]
        except exc.JobExistsError as error:
            taken = error
        assert spec.job_id is not None
        existing = await client.get_job(spec.job_id)
        if existing is not None:
            break
    if existing is None:
        raise taken
    if not _is_the_same(client, existing, spec):
        raise IdempotencyKeyReusedError(
            f"job {spec.job_id} exists with another name or payload: the idempotency key was used "
            "for something else",
            job_id=spec.job_id,
        )
    return existing.id


def _is_the_same(client: AsyncClient, job: Job, spec: JobSpec) -> bool:
    """Whether a spec asks for the job that exists."""
    sent = loads(dumps(spec.payload, default=client._settings.json_default))
    return job.name == spec.name and _equal(job.payload, sent)


def _equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; to Python, true is also 1. Not recursive."""
    left: List[Any] = [(one, other)]
    while left:
        one, other = left.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            left.extend((one[name], other[name]) for name in one)
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            left.extend(zip(one, other))
        elif isinstance(one, bool) is not isinstance(other, bool) or one != other:
            return False
    return True
