"""Django: the client of a project, and submits that wait for the commit."""

from ._client import get_async_client, get_client
from ._commit import submit_failed, submit_job_on_commit, submit_on_commit

__all__ = [
    "get_async_client",
    "get_client",
    "submit_failed",
    "submit_job_on_commit",
    "submit_on_commit",
]
