"""JobResult: how a job, or one attempt of it, ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Dict, Generic, List, Mapping, Optional, Type, TypeVar, Union, overload

from . import exceptions as exc
from ._arguments import check_integer, check_text
from ._convert import convert
from ._job import Job
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

    A failed result that ``get_result`` of a client read may be that of an attempt that will be
    retried. A failure is final only if ``wait_for_result``, ``submit_and_wait`` or
    ``as_completed`` returned it, without ``wait_for_retries=False``.

    Attributes:
        job_id: The job.
        status: ``COMPLETED`` or ``FAILED``.
        result: What the handler returned; None also where it stored nothing (see ``has_data``).
        error: Why it failed; empty after a success and where the worker recorded nothing.
        completed_at: When, in UTC; whole seconds from Go workers. None where it is not known.
        duration_ms: How long the last attempt ran, in milliseconds.
        has_data: Whether a value was stored; ``null`` is a value. By default, whether ``result``
            is anything but None.
        cancelled: Whether it failed because somebody cancelled it.
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

        A worker stores a failed result after every failed attempt. The failure is final if
        ``wait_for_result``, ``submit_and_wait`` or ``as_completed`` returned it; one that
        ``get_result`` read, or a wait with ``wait_for_retries=False``, may be followed by a retry.
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
        """Return what the handler returned.

        Args:
            result_type: A type to convert to and check against: a dataclass, a TypedDict, a
                pydantic model, a builtin, or ``Optional``, ``Union``, ``List``, ``Dict`` and such
                of these. None returns the JSON value as it is.
            default: What to return, unconverted, where the handler stored no data. It does not
                stand in for the result of a job that failed.

        Raises:
            JobFailedError: The job failed; ``error`` says why. If it was cancelled, this is a
                ``JobCancelledError``.
            ValueError: The handler stored no data, as every plain Go handler does, and no
                ``default`` is given. The attribute ``result`` is None then.
            SerializationError: The data do not fit ``result_type``; the message says where.
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
                f"job {self.job_id} completed without data, as its handler returns none; "
                "use .result, which is None then, or get_result(default=...)"
            )
        if result_type is None:
            return self.result
        what = f"result of job {self.job_id}"
        return convert(self.result, result_type, what, job_id=self.job_id)

    def to_hash(self, now: datetime) -> Dict[str, str]:
        """Return the fields of the hash that a worker stores; absent ones are left out."""
        if self.status not in (JobStatus.COMPLETED, JobStatus.FAILED):
            raise ValueError(f"status of a result is completed or failed, not {self.status}")
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
        """Read the hash that Go or a sibling stored.

        Which fields count follows from ``status``: HSET lies over what an earlier attempt left, so
        a success may sit beside an old error, and a failure beside an old result.

        Raises:
            SerializationError: The hash is not what the protocol says.
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
            # Not through __init__, which sets the fields of a frozen class one by one: of all that
            # a wait costs, that would be a tenth.
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
