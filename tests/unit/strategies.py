"""What hypothesis draws for the tests of this directory."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

__all__ = ["BYTES", "DOCUMENT_BYTES", "JSON_VALUES", "quickly"]

#: No deadline and no health check of speed: a slow machine fails nothing.
quickly = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)

#: Values that are JSON to Go.
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)

_NAMES = ["id", "name", "payload", "status", "priority", "created_at", "updated_at", "attempts",
          "scheduled_for", "max_retries", "description", "error", "routing_key",
          "corrupted_data", "NAME", "Payload", "extra"]  # fmt: skip
_PIECES = [
    *(f'"{name}":' for name in _NAMES),
    "null", "true", "0", "-1", "1.0", "1e400", "9223372036854775808", "9" * 5000, "NaN", '"', '""',
    '"failed"', '"high"', '"\\ud800"', '"2025-01-15T10:30:00Z"', '"2025-01-15T10:30:00"', "[", "]",
    "{", "}", ",", ":", "[" * 200, "\\", " ", "\n", "\x00", "\ufeff", "\u2028",
]  # fmt: skip

#: Any bytes at all.
BYTES: st.SearchStrategy[bytes] = st.binary(max_size=64)

_MEMBERS = st.lists(
    st.tuples(st.sampled_from(_NAMES), st.sampled_from([p for p in _PIECES if p[-1:] != ":"])),
    max_size=8,
)

#: Bytes that come closer to a job document than any bytes do.
DOCUMENT_BYTES: st.SearchStrategy[bytes] = (
    BYTES
    | st.lists(st.sampled_from(_PIECES), max_size=12).map(lambda parts: "".join(parts).encode())
    | _MEMBERS.map(
        lambda members: ("{" + ",".join(f'"{n}":{v}' for n, v in members) + "}").encode()
    )
)
