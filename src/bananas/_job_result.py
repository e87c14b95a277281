"""JobResult: how a job, or one attempt of it, ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Dict, Generic, List, Mapping, Optional, Type, TypeVar, Union, overload

from . import exceptions as exc
from ._argument_checks import check_integer, check_text
from ._job import Job
from ._typed_results import convert
from ._types import NOT_GIVEN
from ._wire import completed_at, dumps, format_timestamp, loads, milliseconds
from .enums import JobStatus

__all__ = ["JobResult"]

T = TypeVar("T")


U = TypeVar("U")


D = TypeVar("D")


_OUTCOMES = {b"completed": JobStatus.COMPLETED, b"failed": JobStatus.FAILED}


@dataclass(frozen=True)
class JobResult(Generic[T]):
    """How a job, or one attempt of it, ended.

    A failure is final only if ``wait_for_result``, ``submit_and_wait`` or ``as_completed`` returned
    it, without ``wait_for_retries=False``. A failed result from ``client.get_result`` may belong to
    an attempt that will be retried.

    Attributes:
        job_id: The job.
        status: ``COMPLETED`` or ``FAILED``.
        result: The data from the handler; None also if it stored no data (see ``has_data``).
        error: Why it failed; empty after a success, or if the worker stored no text.
        completed_at: When it ended, in UTC; whole seconds from Go workers. None if it is not known.
        duration_ms: How long the last attempt ran, in milliseconds.
        has_data: Whether data was stored; ``null`` is data, too. The default is ``result is not
            None``.
        cancelled: Whether the job failed because it was cancelled.
    """

    job_id: str
    status: JobStatus
    result: Optional[T] = field(default=None, repr=False)
    error: str = field(default="", repr=False)
    completed_at: Optional[datetime] = None
    duration_ms: int = 0
    has_data: Optional[bool] = None
    cancelled: bool = False

    def __post_init__(self) -> None:
        if self.has_data is None:
            object.__setattr__(self, "has_data", self.result is not None)

    @property
    def duration(self) -> timedelta:
        """How long the last attempt ran."""
        try:
            return timedelta(milliseconds=self.duration_ms)
        except OverflowError:  # 64 bits of milliseconds are more than a timedelta holds
            return timedelta.max if self.duration_ms > 0 else timedelta.min

    @property
    def is_success(self) -> bool:
        """Whether the job completed."""
        return self.status is JobStatus.COMPLETED

    @property
    def is_failed(self) -> bool:
        """Whether the attempt that stored this result failed.

        The failure is final if ``wait_for_result``, ``submit_and_wait`` or ``as_completed``
        returned it. After a failure from ``get_result``, or from a wait with
        ``wait_for_retries=False``, a retry may follow.
        """
        return self.status is JobStatus.FAILED

    @overload
    def get_result(self) -> T: ...

    @overload
    def get_result(self, result_type: Type[U]) -> U: ...

    # To type checkers Optional[int], Union and Literal are not types.
    @overload
    def get_result(self, result_type: Any) -> Any: ...

    @overload
    def get_result(self, *, default: D) -> Union[T, D]: ...

    @overload
    def get_result(self, result_type: Type[U], *, default: D) -> Union[U, D]: ...

    @overload
    def get_result(self, result_type: Any, *, default: Any) -> Any: ...

    def get_result(self, result_type: Any = None, *, default: Any = NOT_GIVEN) -> Any:
        """Return the data from the handler.

        Args:
            result_type: Check the data and convert it to this type: a dataclass, a TypedDict, a
                pydantic model, a builtin type, or ``Optional``, ``Union``, ``List``, ``Dict`` of
                these. None returns the JSON value unchanged.
            default: Returned unchanged if the handler stored no data. If the job failed, the error
                is raised anyway.

        Raises:
            JobFailedError: The job failed; ``error`` says why. After a cancel it is a
                ``JobCancelledError``.
            ValueError: The handler stored no data, and there is no ``default``. Plain Go handlers
                never store data. The attribute ``result`` is None then.
            SerializationError: The data does not have the type ``result_type``; the message says
                where.
        """
        if not self.is_success:
            # What follows the first line is a panic's stack; the attribute has it.
            lines = self.error.strip().splitlines()
            reason = f": {lines[0]}" if lines else " without saying why"
            if self.cancelled:
                raise exc.JobCancelledError(
                    f"job {self.job_id} was cancelled{_reason_to_cancel(lines)}",
                    job_id=self.job_id,
                    error=self.error,
                )
            raise exc.JobFailedError(
                f"job {self.job_id} failed{reason}", job_id=self.job_id, error=self.error
            )
        if not self.has_data:
            if default is not NOT_GIVEN:
                return default
            raise ValueError(
                f"job {self.job_id} completed, but its handler returned no data; "
                "use .result, which is then None, or get_result(default=...)"
            )
        if result_type is None:
            return self.result
        what = f"result of job {self.job_id}"
        return convert(self.result, result_type, what, job_id=self.job_id)

    def to_hash(self, now: datetime) -> Dict[str, str]:
        """Return the fields of the hash that a worker stores, without absent ones."""
        if self.status not in (JobStatus.COMPLETED, JobStatus.FAILED):
            raise ValueError(f"status of a result must be completed or failed, not {self.status}")
        moment = now if self.completed_at is None else self.completed_at
        duration = check_integer(self.duration_ms, "duration_ms", at_least=0)
        fields = {
            "status": self.status.value,
            "completed_at": format_timestamp(moment, "completed_at"),
            "duration_ms": str(duration),
        }
        if self.is_success and self.has_data:
            fields["result"] = dumps(self.result, "result").decode()
        elif self.is_failed and self.error:
            fields["error"] = check_text(self.error, "error")
        if self.is_failed and self.cancelled:
            fields["cancelled"] = "1"
        return fields

    @classmethod
    def from_hash(cls, job_id: str, fields: Mapping[bytes, bytes]) -> JobResult[Any]:
        """Read the hash that a worker or a client stored.

        Workers do not delete the fields of an earlier attempt. So the old ``error`` in a success is
        ignored, and so is the old ``result`` in a failure.

        Raises:
            SerializationError: The hash can't be read.
        """
        status = _OUTCOMES.get(fields.get(b"status", b""))
        if status is None:
            raise exc.SerializationError(
                f"stored result of job {job_id} has no status of completed or failed",
                job_id=job_id,
            )
        moment = fields.get(b"completed_at")
        data = fields.get(b"result") if status is JobStatus.COMPLETED else None
        reason = fields.get(b"error", b"") if status is JobStatus.FAILED else b""
        try:
            # Not with __init__, which sets the fields of a frozen class one by one. This would be a
            # tenth of the cost of a wait.
            made = object.__new__(cls)
            made.__dict__.update(
                job_id=job_id,
                status=status,
                result=None if data is None else loads(data, "result"),
                error=reason.decode("utf-8", "replace"),
                completed_at=None if moment is None else completed_at(moment),
                duration_ms=milliseconds(fields.get(b"duration_ms")),
                has_data=data is not None,
                cancelled=status is JobStatus.FAILED and b"cancelled" in fields,
            )
        except exc.SerializationError as error:
            raise exc.SerializationError(
                f"stored result of job {job_id}: {error}", job_id=job_id
            ) from None
        return made

    @classmethod
    def from_dead_letter(cls, job: Job, *, cancelled: bool = False) -> JobResult[Any]:
        """Make the failed result of a job that ended without storing one (no handler, panic)."""
        return cls(
            job_id=job.id,
            status=JobStatus.FAILED,
            error=job.error or "the job was dead-lettered without a reason",
            completed_at=job.updated_at,
            has_data=False,
            cancelled=cancelled,
        )


def _reason_to_cancel(lines: List[str]) -> str:
    reason = lines[0].partition(": ")[2] if lines else ""
    return f": {reason}" if reason else ""
