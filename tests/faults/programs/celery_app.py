"""A Celery application whose client has been used before the workers fork."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import worker_ready

from bananas import Client

_folder = os.environ["CELERY_FOLDER"]

app = Celery("bananas-faults", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": _folder,
    "data_folder_out": _folder,
    "control_folder": _folder,
}
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_prefetch_multiplier = 1

client = Client(os.environ["BANANAS_REDIS_URL"])
client.get_job("none")


@app.task(name="work")
def work() -> None:
    """Submit a job, wait for its result, and submit another one that has it."""
    result = client.submit_and_wait("first", {"pid": os.getpid()}, timeout=30)
    client.submit_job("second", {"pid": os.getpid(), "result": result.get_result()})


@worker_ready.connect
def send(**_: object) -> None:
    """Give the worker four tasks."""
    for _number in range(4):
        work.delay()
