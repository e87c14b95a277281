"""The tests of the service: no Redis, no Go, no waiting."""

import pytest
from fastapi.testclient import TestClient
from reports import app

from bananas.testing import LocalQueue


@pytest.mark.bananas(background=False)
def test_a_report_is_ordered_once_and_read(
    bananas_queue: LocalQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    bananas_queue.handle("report", lambda job: {"pages": 12})
    monkeypatch.setenv("BANANAS_REDIS_URL", bananas_queue.url)
    headers = {"Idempotency-Key": "order-1"}
    with TestClient(app) as http:
        for _ in range(2):
            ordered = http.post("/reports?month=2025-01", headers=headers)
            assert ordered.status_code == 202
        payload = {"month": "2025-01"}
        bananas_queue.assert_submitted("report", payload=payload)
        assert len(bananas_queue.submitted) == 1

        bananas_queue.run_until_idle()
        answer = http.get(ordered.headers["Location"])
        assert answer.json()["report"] == {"pages": 12}


def test_an_unknown_report_is_not_found(
    bananas_queue: LocalQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANANAS_REDIS_URL", bananas_queue.url)
    with TestClient(app) as http:
        assert http.get("/reports/no-such-id").status_code == 404
