"""An asyncio client whose submits, waits and reads are recorded."""

from __future__ import annotations

import dataclasses
from typing import Any, AsyncIterable, AsyncIterator, Iterable, List, Optional, Sequence, Union

from .._types import JSONValue, Seconds
from ..client import AsyncClient
from ..job_type import JobType
from ..models import JobResult, JobSpec
from .recording import Call, Recorder

__all__ = ["TracedAsyncClient", "options_of", "specs_with_context"]


class TracedAsyncClient(AsyncClient):
    """The class that an instrumented client has, in front of its own."""

    _recorder: Recorder

    async def submit_job(self, name: str, payload: JSONValue, *args: Any, **options: Any) -> str:
        """Submit a job, recorded."""
        with self._recorder.submit("submit_job", name) as call:
            payload = call.carry(payload)
            return call.submitted(await super().submit_job(name, payload, *args, **options))

    async def submit_job_scheduled(
        self, name: str, payload: JSONValue, *args: Any, **options: Any
    ) -> str:
        """Schedule a job, recorded."""
        with self._recorder.submit("submit_job_scheduled", name) as call:
            payload = call.carry(payload)
            job_id = await super().submit_job_scheduled(name, payload, *args, **options)
            return call.submitted(job_id)

    async def submit_jobs(
        self, specs: Union[Iterable[JobSpec], AsyncIterable[JobSpec]], **options: Any
    ) -> List[str]:
        """Submit many jobs, recorded as one batch."""
        with self._recorder.submit("submit_jobs", None, jobs=0) as call:
            if self._recorder.member is not None:
                if isinstance(specs, AsyncIterable):
                    specs = _with_context(call, specs)
                else:
                    specs = specs_with_context(call, specs)
            return call.submitted_all(await super().submit_jobs(specs, **options))

    async def submit_and_wait(
        self, name: str, payload: JSONValue, *args: Any, **options: Any
    ) -> JobResult[Any]:
        """Submit a job and wait for it, recorded as one call."""
        with self._recorder.submit("submit_and_wait", name) as call:
            payload = call.carry(payload)
            result = await super().submit_and_wait(name, payload, *args, **options)
            call.submitted(result.job_id)
            call.took(result)
            return result

    async def submit(self, job_type: JobType[Any, Any], payload: Any, **options: Any) -> str:
        """Submit a typed job, recorded."""
        if self._recorder.member is None:
            with self._recorder.submit("submit", job_type.name) as call:
                return call.submitted(await super().submit(job_type, payload, **options))
        if_exists = options.pop("if_exists", "return")
        spec = job_type.spec(payload, **options)
        with self._recorder.submit("submit", spec.name) as call:
            sent, due = options_of(spec, call), spec.scheduled_for
            if due is None:
                return call.submitted(await super().submit_job(**sent, if_exists=if_exists))
            job_id = await super().submit_job_scheduled(
                **sent, scheduled_for=due, if_exists=if_exists
            )
            return call.submitted(job_id)

    async def call(
        self,
        job_type: JobType[Any, Any],
        payload: Any,
        timeout: Optional[Seconds] = 30.0,
        *,
        job_id: Optional[str] = None,
    ) -> Any:
        """Submit a typed job and wait for it, recorded as one call."""
        spec = job_type.spec(payload, job_id=job_id)
        with self._recorder.submit("call", spec.name) as call:
            sent = options_of(spec, call)
            result = await super().submit_and_wait(**sent, timeout=timeout)
            call.submitted(result.job_id)
            call.took(result)
            return job_type.load_result(result)

    async def wait_for_result(self, job_id: str, *args: Any, **options: Any) -> JobResult[Any]:
        """Wait for a job, recorded."""
        with self._recorder.receive("wait_for_result", job_id) as call:
            result = await super().wait_for_result(job_id, *args, **options)
            call.took(result)
            return result

    async def get_result(self, job_id: str) -> Optional[JobResult[Any]]:
        """Read a result, recorded."""
        with self._recorder.receive("get_result", job_id) as call:
            result = await super().get_result(job_id)
            call.took(result)
            return result


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


async def _with_context(call: Call, specs: AsyncIterable[JobSpec]) -> AsyncIterator[JobSpec]:
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
