"""The trace context in the payloads of what is submitted."""

from __future__ import annotations

import dataclasses
from typing import Any, AsyncIterable, AsyncIterator, Iterable, Sequence

from ..models import JobSpec
from .recording import Call

__all__ = ["async_specs_with_context", "options_of", "specs_with_context"]


def options_of(spec: JobSpec, call: Call) -> Any:
    """Return the arguments of a submit of one typed job, with the trace context."""
    return {
        "name": spec.name,
        "payload": call.carry(spec.payload),
        "priority": spec.priority,
        "description": spec.description,
        "job_id": spec.job_id,
        "routing_key": spec.routing_key,
        "max_retries": spec.max_retries,
    }


def specs_with_context(call: Call, specs: Iterable[JobSpec]) -> Iterable[JobSpec]:
    """Return specs whose payloads have the trace context, one by one if they came so."""
    found = (_spec_with_context(call, spec) for spec in specs)
    return list(found) if isinstance(specs, Sequence) else found


async def async_specs_with_context(
    call: Call, specs: AsyncIterable[JobSpec]
) -> AsyncIterator[JobSpec]:
    """Return specs whose payloads have the trace context, one by one."""
    try:
        async for spec in specs:
            yield _spec_with_context(call, spec)
    finally:
        close = getattr(specs, "aclose", None)
        if close is not None:
            await close()


def _spec_with_context(call: Call, spec: Any) -> Any:
    if not isinstance(spec, JobSpec):
        return spec  # which is refused in its turn
    return dataclasses.replace(spec, payload=call.carry(spec.payload))
