"""Celery: the tasks of the example submit a job once, and wait for its result."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Iterator

import pytest

from bananas.testing import LocalQueue
from tests.behaviour.broker import Broker
from tests.behaviour.programs import ROOT


@pytest.fixture
def tasks(embedded_session: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example, whose tasks run where they are called."""
    embedded_session.flush()
    monkeypatch.setenv("BANANAS_REDIS_URL", embedded_session.url)
    path = ROOT / "examples" / "celery_app" / "tasks.py"
    spec = importlib.util.spec_from_file_location("celery_tasks", str(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.app.conf.task_always_eager = True
    yield module
    module.client().close()


def test_a_task_submits_and_another_one_waits(tasks: ModuleType, embedded_session: Broker) -> None:
    with LocalQueue(embedded_session.url) as queue:
        queue.handle("report", lambda job: f"the report of {job.payload['month']}")
        job_id = tasks.order_report.delay("2025-01").get()
        assert tasks.mail_report.delay(job_id).get() == "sent: the report of 2025-01"


def test_a_task_that_is_run_again_submits_nothing_again(
    tasks: ModuleType, embedded_session: Broker
) -> None:
    """As after a worker was killed, or an error that Celery retries."""
    for _ in range(2):
        tasks.order_report.apply(("2025-01",), task_id="task-1")
    assert embedded_session.queued("queue:normal") == ["task-1"]


def test_an_error_is_retried_with_the_same_id(
    tasks: ModuleType, embedded_session: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the one after which the job may be queued."""
    real, ids = tasks.client(), []

    class Failing:
        """A client whose first submit has an outcome that is not known."""

        def submit_job(self, name: str, payload: object, *, job_id: str) -> str:
            ids.append(real.submit_job(name, payload, job_id=job_id))
            if len(ids) == 1:
                raise tasks.bananas.OutcomeUnknownError("lost", job_id=job_id)
            return job_id

        def close(self) -> None:
            real.close()

    monkeypatch.setattr(tasks, "client", Failing)
    job_id = tasks.order_report.delay("2025-01").get()
    assert ids == [job_id, job_id]
    assert embedded_session.queued("queue:normal") == [job_id]
    tasks.client().close()
