"""Jobs and results as frozen values."""

from __future__ import annotations

from ._job import Job, JobSpec
from ._job_result import JobResult
from .enums import JobPriority, JobStatus

__all__ = ["Job", "JobPriority", "JobResult", "JobSpec", "JobStatus"]
