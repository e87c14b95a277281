"""The tests of the service, without a Redis: ``python -m pytest examples/fastapi_service``."""

import pytest
from fastapi.testclient import TestClient
from service import app

from bananas.testing import LocalQueue


def test_a_report_is_made(bananas_queue: LocalQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    bananas_queue.handle("report", lambda job: {"pages": len(job.payload["month"])})
    monkeypatch.setenv("BANANAS_REDIS_URL", bananas_queue.url)
    with TestClient(app) as http:  # runs the lifespan, which opens the client
        ordered = http.post("/reports", json={"month": "2025-01"}, params={"wait": 10})
    assert ordered.json() == {"pages": 7}


@pytest.mark.bananas(background=False)  # nothing runs before run_until_idle()
def test_a_report_is_ordered_once(
    bananas_queue: LocalQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANANAS_REDIS_URL", bananas_queue.url)
    with TestClient(app) as http:
        for _ in range(2):
            headers = {"Idempotency-Key": "order-1"}
            ordered = http.post("/reports", json={"month": "2025-01"}, headers=headers)
            assert ordered.status_code == 202
            assert ordered.json()["place"] == "queued"
        assert bananas_queue.submitted.names == ["report"]
        bananas_queue.handle("report", lambda job: {"pages": 1})
        bananas_queue.run_until_idle()
        assert http.get(ordered.headers["Location"]).json() == {"pages": 1}
