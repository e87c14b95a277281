"""A job document as a Go worker reads it and writes it back."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Dict, Optional

from .. import exceptions as exc
from .._wire import format_timestamp, loads_members, to_text
from ..models import Job
from ._go_json import compact, encode, syntax_error

__all__ = ["Document", "stub"]

_ZERO_TIME = "0001-01-01T00:00:00Z"
_TIME = re.compile(r"(.{11})([0-9]{1,2})(:..:..)(?:[.,]([0-9]+))?(.+)\Z")
_KINDS = (("{", "object"), ("[", "array"), ('"', "string"), ("t", "bool"), ("f", "bool"))
#: In Go's order, with the fields that it leaves out when they are empty.
_FIELDS = [
    "id", "name", "description?", "payload", "status", "priority", "created_at", "updated_at",
    "scheduled_for?", "attempts", "max_retries", "error?", "routing_key?",
]  # fmt: skip


class Document:
    """One job's document, of which everything that is not changed is kept as it was written.

    Args:
        data: What stands in Redis.

    Raises:
        ValueError: Go can't read it; the message is Go's, where the trouble is in the syntax.
    """

    def __init__(self, data: bytes) -> None:
        text = to_text(data)
        problem = syntax_error(text) or _no_object(text)
        if problem:
            raise ValueError(problem)
        try:
            self.job = Job.from_json(text)
            members = loads_members(text, "job document")
        except exc.SerializationError as error:
            raise ValueError(str(error)) from None
        self._values: Dict[str, Any] = {}
        for name, value, (start, end) in members:
            name = name.lower()
            self._values[name] = text[start:end] if name == "payload" else value

    def change(
        self,
        status: str,
        updated_at: datetime,
        *,
        attempts: Optional[int] = None,
        error: Optional[str] = None,
    ) -> None:
        """Write down a change of status, with what belongs to it; None leaves a field as it is."""
        self._values["status"] = status
        self._values["updated_at"] = format_timestamp(updated_at)
        if attempts is not None:
            self._values["attempts"] = attempts
        if error is not None:
            self._values["error"] = error

    def schedule(self, moment: Optional[datetime]) -> None:
        """Set ``scheduled_for``; None clears it."""
        self._values["scheduled_for"] = None if moment is None else format_timestamp(moment)

    def to_json(self) -> str:
        """Return the document as Go's encoder writes it."""
        members = []
        for field in _FIELDS:
            name = field.rstrip("?")
            value = self._values.get(name)
            if value or name == field:
                members.append(f'"{name}":{_member(name, value)}')
        return "{" + ",".join(members) + "}"


def stub(job_id: str, error: str, corrupted_data: Optional[bytes] = None) -> str:
    """Return what a worker leaves in place of a missing or unreadable document."""
    fields = {"error": error, "id": job_id}
    if corrupted_data is not None:
        fields = {"corrupted_data": to_text(corrupted_data), **fields}
    return encode(fields)


def _member(name: str, value: Any) -> str:
    if name == "payload":
        return "null" if value is None else compact(value)
    if name in ("created_at", "updated_at", "scheduled_for"):
        return f'"{_go_time(value)}"'
    if name in ("attempts", "max_retries"):
        return str(value or 0)
    return encode(value or "")


def _go_time(text: Optional[str]) -> str:
    """Return a time in Go's form: up to nine digits, no zeros at the end, Z without an offset."""
    match = _TIME.match(text or _ZERO_TIME)
    assert match is not None, "Job.from_json has read it"
    day, hour, rest, fraction, zone = match.groups("")
    digits = fraction[:9].rstrip("0")
    zone = "Z" if zone[1:] == "00:00" else zone
    return f"{day}{hour.zfill(2)}{rest}{'.' + digits if digits else ''}{zone}"


def _no_object(text: str) -> str:
    start = text.strip()[:1]
    if start == "{" or text.strip() == "null":
        return ""
    kind = dict(_KINDS).get(start, "number")
    return f"json: cannot unmarshal {kind} into Go value of type job.Job"
