"""Submit jobs to the Bananas task queue and wait for their results, from asyncio or blocking."""

from ._version import __version__
from .client import AsyncClient
from .exceptions import (
    AuthenticationError,
    BananasError,
    ClientClosedError,
    ConnectionError,
    JobCancelledError,
    JobExistsError,
    JobFailedError,
    JobNotFoundError,
    JobRejectedError,
    OutcomeUnknownError,
    ResultNotFoundError,
    SerializationError,
    ServerError,
    TimeoutError,
)
from .job_type import JobType
from .location import JobPlace, Location
from .models import Job, JobPriority, JobResult, JobSpec, JobStatus
from .sync import Client

__all__ = [
    "AsyncClient",
    "AuthenticationError",
    "BananasError",
    "Client",
    "ClientClosedError",
    "ConnectionError",
    "Job",
    "JobCancelledError",
    "JobExistsError",
    "JobFailedError",
    "JobNotFoundError",
    "JobPlace",
    "JobPriority",
    "JobRejectedError",
    "JobResult",
    "JobSpec",
    "JobStatus",
    "JobType",
    "Location",
    "OutcomeUnknownError",
    "ResultNotFoundError",
    "SerializationError",
    "ServerError",
    "TimeoutError",
    "__version__",
]
