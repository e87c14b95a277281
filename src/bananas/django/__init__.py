"""Django: the client of a project, submits that wait for the commit, and event streams."""

from ._client import get_async_client, get_client
from ._commit import submit_failed, submit_job_on_commit, submit_on_commit
from ._events import job_events

__all__ = [
    "get_async_client",
    "get_client",
    "job_events",
    "submit_failed",
    "submit_job_on_commit",
    "submit_on_commit",
]
