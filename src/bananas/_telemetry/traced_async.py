"""An asyncio client whose calls are recorded."""

from __future__ import annotations

from typing import Any, AsyncIterable, Iterable, List, Optional, Union

from .._argument_checks import check_job_ids
from .._types import JSONValue, Seconds
from .._waits import AsCompleted, JobChanges
from ..client import AsyncClient
from ..dead_letters import DeadLetters
from ..job_type import JobType
from ..models import JobResult, JobSpec
from ..operating import CancelOutcome, DeleteOutcome, RescheduleOutcome
from ..queue import RedisQueue
from ..repairs import AuditReport, RecoveryCounts, RepairCounts
from ..result_backend import RedisResultBackend
from .carried_context import async_specs_with_context, options_of, specs_with_context
from .classes import recorded_steps, view_of
from .iteration import Iteration, RecordedSteps
from .recording import Recorder
from .traced_parts import TracedDeadLetters, TracedQueue, TracedResults

__all__ = ["TracedAsyncClient"]


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
                    specs = async_specs_with_context(call, specs)
                else:
                    specs = specs_with_context(call, specs)
            try:
                return call.submitted_all(await super().submit_jobs(specs, **options))
            except BaseException as error:
                call.failed_among(error)
                raise

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

    async def get_results(self, job_ids: Iterable[str], **options: Any) -> List[Any]:
        """Read many results, recorded as one call."""
        ids = check_job_ids(job_ids)
        with self._recorder.receive_many("get_results", ids) as call:
            return call.took_all(await super().get_results(ids, **options))

    def as_completed(self, job_ids: Iterable[str], *args: Any, **options: Any) -> AsCompleted:
        """Iterate over results, recorded from the first step to the end."""
        ids = check_job_ids(job_ids)
        results = super().as_completed(ids, *args, **options)
        record = Iteration(lambda: self._recorder.start_jobs("as_completed", ids))
        return recorded_steps(results, RecordedSteps, record)

    def watch(self, job_id: str, *args: Any, **options: Any) -> JobChanges:
        """Follow a job, recorded from the first step to the end."""
        changes = super().watch(job_id, *args, **options)
        record = Iteration(lambda: self._recorder.start_job("watch", None, job_id))
        return recorded_steps(changes, RecordedSteps, record)

    async def cancel(self, job_id: str, **options: Any) -> CancelOutcome:
        """Cancel a job, recorded."""
        with self._recorder.operate("cancel", job_id) as call:
            return call.became(await super().cancel(job_id, **options))

    async def reschedule(self, job_id: str, *args: Any, **options: Any) -> RescheduleOutcome:
        """Have a job run at another time, recorded."""
        with self._recorder.operate("reschedule", job_id) as call:
            return call.became(await super().reschedule(job_id, *args, **options))

    async def delete(self, job_id: str) -> DeleteOutcome:
        """Delete a job that has finished, recorded."""
        with self._recorder.operate("delete", job_id) as call:
            return call.became(await super().delete(job_id))

    async def requeue(self, job_id: str, **options: Any) -> None:
        """Give a dead letter another try, recorded."""
        with self._recorder.operate("requeue", job_id):
            await super().requeue(job_id, **options)

    async def recover(self, *args: Any, **options: Any) -> RecoveryCounts:
        """Recover the jobs of killed workers, recorded."""
        with self._recorder.operate("recover") as call:
            return call.changed(await super().recover(*args, **options))

    async def doctor(self, **options: Any) -> AuditReport:
        """Audit all that is stored, recorded."""
        with self._recorder.operate("doctor"):
            return await super().doctor(**options)

    async def repair(self, *args: Any, **options: Any) -> RepairCounts:
        """Carry out repairs, recorded."""
        with self._recorder.operate("repair") as call:
            return call.changed(await super().repair(*args, **options))

    @property
    def queue(self) -> RedisQueue:
        """The queue, whose calls are recorded."""
        return view_of(super().queue, TracedQueue, self._recorder)

    @property
    def dead_letters(self) -> DeadLetters:
        """The dead letters, whose calls are recorded."""
        return view_of(super().dead_letters, TracedDeadLetters, self._recorder)

    @property
    def results(self) -> RedisResultBackend:
        """The results, whose calls are recorded."""
        return view_of(super().results, TracedResults, self._recorder)
