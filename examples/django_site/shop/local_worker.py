"""Stands in for Redis and a Go worker."""

from bananas import Job
from bananas.testing import LocalQueue


def start_local_worker() -> str:
    """Start both in this process, and return the URL."""
    queue = LocalQueue()
    queue.handle("report", make_report)
    return queue.start().url


def make_report(job: Job) -> str:
    return f"the report of {job.payload['month']}"
