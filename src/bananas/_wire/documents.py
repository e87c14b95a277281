"""The fields of a job's document, read as Go's decoder reads them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Mapping, Optional

from .. import exceptions as exc
from .._argument_checks import MAX_INT64
from .json import without_surrogates
from .json_scan import Undecoded
from .timestamps import parse_timestamp

__all__ = ["JOB_FIELDS", "STUB_FIELDS", "Fields", "folded"]

STUB_FIELDS = frozenset({"id", "error", "corrupted_data"})
JOB_FIELDS = STUB_FIELDS | {
    "name", "payload", "status", "priority", "created_at", "updated_at", "scheduled_for",
    "attempts", "max_retries", "description", "routing_key",
}  # fmt: skip


def folded(name: str) -> str:
    return name.lower().replace("\u017f", "s")


class Fields:
    """Reads the fields of a JSON object as Go's decoder does: null is the zero value."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        if not isinstance(data, Mapping):
            raise exc.SerializationError(
                f"job document is not an object but a {type(data).__name__}"
            )
        if not data.keys() <= JOB_FIELDS:
            named = {folded(key): value for key, value in data.items() if isinstance(key, str)}
            data = {name: value for name, value in named.items() if name in JOB_FIELDS}
        self.data = data

    def text(self, name: str) -> str:
        value = self.data.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._refusal(name, "a string", value)
        return without_surrogates(value)

    def integer(self, name: str) -> int:
        value = self.data.get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._refusal(name, "a whole number", value)
        if not -MAX_INT64 - 1 <= value <= MAX_INT64:
            raise exc.SerializationError(f"{name} of the job document does not fit 64 bits")
        return int(value)

    def moment(self, name: str) -> Optional[datetime]:
        value = self.data.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._refusal(name, "a time", value)
        return parse_timestamp(value, f"{name} of the job document")

    def _refusal(self, name: str, expected: str, value: Any) -> exc.SerializationError:
        undecoded = isinstance(value, Undecoded)
        found = f": it {value.reason}" if undecoded else f" but a {type(value).__name__}"
        return exc.SerializationError(f"{name} of the job document is not {expected}{found}")
