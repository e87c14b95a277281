"""Celery tasks that submit jobs for Go workers: ``celery -A tasks worker``."""

import os
from functools import lru_cache

from celery import Celery, Task

import bananas

app = Celery("shop", broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/1"))


@lru_cache(maxsize=None)
def client() -> bananas.Client:
    return bananas.Client()  # BANANAS_REDIS_URL, or else redis://localhost:6379


@app.task(
    bind=True,
    autoretry_for=(bananas.ConnectionError, bananas.OutcomeUnknownError),
    retry_backoff=True,
)
def order_report(self: Task, month: str) -> str:
    # If Celery runs the task again, its id is the same, so the job is queued once.
    return client().submit_job("report", {"month": month}, job_id=self.request.id)


@app.task
def mail_report(job_id: str) -> str:
    # While it waits, its process can run no other task: set a time limit.
    result = client().wait_for_result(job_id, timeout=60)
    return f"sent: {result.get_result(str)}"
