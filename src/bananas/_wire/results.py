"""The fields of a stored result."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Optional

from .. import exceptions as exc
from .timestamps import parse_timestamp

__all__ = ["completed_at", "milliseconds"]

_WHOLE = re.compile(rb"-?[0-9]{1,19}\Z")


@lru_cache(maxsize=256)  # results that come together were mostly stored in the same second
def completed_at(text: bytes) -> datetime:
    """Read when a job ended."""
    return parse_timestamp(text.decode("utf-8", "replace"), "completed_at")


def milliseconds(text: Optional[bytes]) -> int:
    """Read how long the last attempt ran."""
    if text is None:
        return 0
    if not _WHOLE.match(text):
        raise exc.SerializationError("duration_ms is not a whole number")
    return int(text)
