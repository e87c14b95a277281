"""Celery tasks that leave work to Go workers: ``celery -A tasks worker``."""

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
    # A task that is run again has the same id, and with it finds the job of the first time.
    return client().submit_job("report", {"month": month}, job_id=self.request.id)


@app.task
def mail_report(job_id: str) -> str:
    # It waits, and takes the place of another task meanwhile: give it a time limit.
    result = client().wait_for_result(job_id, timeout=60)
    return f"sent: {result.get_result(str)}"
