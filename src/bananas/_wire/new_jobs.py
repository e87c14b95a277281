"""The document of a new job, written without making a Job first."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, Optional

from .._argument_checks import check_name, check_text
from ..enums import JobPriority
from .json import dumps, quote
from .json_default import Default

__all__ = ["new_document", "new_job_id"]


def new_job_id(entropy: Optional[bytes] = None) -> str:
    """Return a UUID of version 4; by hand, since ``uuid.uuid4()`` takes three times as long."""
    digits = (os.urandom(16) if entropy is None else entropy).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


@lru_cache(maxsize=512, typed=True)
def _name(name: str) -> bytes:
    """Return what stands between the id and the description of a new document."""
    return f'","name":{quote(check_name(name))},'.encode()


_BEFORE_TIMES = {
    (priority, due): f',"status":"{status}","priority":"{priority.value}","created_at":"'.encode()
    for priority in JobPriority
    for due, status in ((False, "pending"), (True, "scheduled"))
}


_PLAIN_END = b'","attempts":0,"max_retries":3}'


def new_document(
    job_id: bytes,
    name: str,
    payload: Any,
    priority: JobPriority,
    description: str,
    now: bytes,
    due: Optional[str],
    max_retries: int,
    routing_key: Optional[str],
    json_default: Optional[Default] = None,
) -> bytes:
    """Return the document of a new job, without making a ``Job`` first.

    The caller has checked ``job_id``, ``priority``, ``max_retries`` and ``routing_key``, and
    written the times. ``json_default`` converts what JSON has no form for in the payload.

    Raises:
        ValueError: The name or the description is refused.
        SerializationError: The payload is not JSON that Go accepts.
    """
    try:
        head = _name(name)
    except TypeError:  # unhashable, hence no string
        head = _name(check_name(name))
    if description or type(description) is not str:
        text = quote(check_text(description, "description"))
        head = f'{head.decode()}"description":{text},'.encode()
    end = _PLAIN_END
    if due is not None or routing_key is not None or max_retries != 3:
        when = "" if due is None else f',"scheduled_for":"{due}"'
        route = "" if routing_key is None else f',"routing_key":"{routing_key}"'
        end = f'"{when},"attempts":0,"max_retries":{max_retries}{route}}}'.encode()
    return b"".join((
        b'{"id":"', job_id, head, b'"payload":', dumps(payload, "payload", json_default),
        _BEFORE_TIMES[priority, due is not None], now, b'","updated_at":"', now, end,
    ))  # fmt: skip
