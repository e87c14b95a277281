"""A blocking client whose submits, waits and reads are recorded."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional

from .._types import JSONValue, Seconds
from ..job_type import JobType
from ..models import JobResult, JobSpec
from ..sync import Client
from .recording import Recorder
from .traced_async import options_of, specs_with_context

__all__ = ["TracedClient"]


class TracedClient(Client):
    """The class that an instrumented client has, in front of its own."""

    _recorder: Recorder

    def submit_job(self, name: str, payload: JSONValue, *args: Any, **options: Any) -> str:
        """Submit a job, recorded."""
        with self._recorder.submit("submit_job", name) as call:
            payload = call.carry(payload)
            return call.submitted(super().submit_job(name, payload, *args, **options))

    def submit_job_scheduled(
        self, name: str, payload: JSONValue, *args: Any, **options: Any
    ) -> str:
        """Schedule a job, recorded."""
        with self._recorder.submit("submit_job_scheduled", name) as call:
            payload = call.carry(payload)
            job_id = super().submit_job_scheduled(name, payload, *args, **options)
            return call.submitted(job_id)

    def submit_jobs(self, specs: Iterable[JobSpec], **options: Any) -> List[str]:
        """Submit many jobs, recorded as one batch."""
        with self._recorder.submit("submit_jobs", None, jobs=0) as call:
            if self._recorder.member is not None and isinstance(specs, Iterable):
                specs = specs_with_context(call, specs)
            return call.submitted_all(super().submit_jobs(specs, **options))

    def submit_and_wait(
        self, name: str, payload: JSONValue, *args: Any, **options: Any
    ) -> JobResult[Any]:
        """Submit a job and wait for it, recorded as one call."""
        with self._recorder.submit("submit_and_wait", name) as call:
            payload = call.carry(payload)
            result = super().submit_and_wait(name, payload, *args, **options)
            call.submitted(result.job_id)
            call.took(result)
            return result

    def submit(self, job_type: JobType[Any, Any], payload: Any, **options: Any) -> str:
        """Submit a typed job, recorded."""
        if self._recorder.member is None:
            with self._recorder.submit("submit", job_type.name) as call:
                return call.submitted(super().submit(job_type, payload, **options))
        if_exists = options.pop("if_exists", "return")
        spec = job_type.spec(payload, **options)
        with self._recorder.submit("submit", spec.name) as call:
            sent, due = options_of(spec, call), spec.scheduled_for
            if due is None:
                return call.submitted(super().submit_job(**sent, if_exists=if_exists))
            job_id = super().submit_job_scheduled(**sent, scheduled_for=due, if_exists=if_exists)
            return call.submitted(job_id)

    def call(
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
            result = super().submit_and_wait(**sent, timeout=timeout)
            call.submitted(result.job_id)
            call.took(result)
            return job_type.load_result(result)

    def wait_for_result(self, job_id: str, *args: Any, **options: Any) -> JobResult[Any]:
        """Wait for a job, recorded."""
        with self._recorder.receive("wait_for_result", job_id) as call:
            result = super().wait_for_result(job_id, *args, **options)
            call.took(result)
            return result

    def get_result(self, job_id: str) -> Optional[JobResult[Any]]:
        """Read a result, recorded."""
        with self._recorder.receive("get_result", job_id) as call:
            result = super().get_result(job_id)
            call.took(result)
            return result
