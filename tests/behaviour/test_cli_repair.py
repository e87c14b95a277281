"""The commands that recover the jobs of killed workers, and audit and repair the queue."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest

from tests.behaviour.broker import Broker
from tests.behaviour.command_line import Bananas, bananas_command

__all__ = ["bananas_command"]

P, LIST = "bananas:queue:processing", "bananas:queue:normal"


@pytest.fixture
def run(real_broker: Broker, bananas_command: Bananas, monkeypatch: pytest.MonkeyPatch) -> Bananas:
    """Runs a command on a real Redis, which BANANAS_REDIS_URL names."""
    monkeypatch.setenv("BANANAS_REDIS_URL", real_broker.url)
    return bananas_command


def store(broker: Broker, job_id: str, **members: Any) -> None:
    """Store a document of a job that has not ended."""
    document = {"id": job_id, "name": "work", "payload": 1, "status": "pending", **members}
    broker.command(
        "SET",
        f"bananas:job:{job_id}",
        json.dumps({"priority": "normal", "attempts": 0, "max_retries": 3, **document}),
    )


def objects(text: str) -> List[Dict[str, Any]]:
    """Return the objects that were printed."""
    return [json.loads(line) for line in text.splitlines()]


def test_recover(run: Bananas, real_broker: Broker) -> None:
    """A first run notes, and needs no answer; a preview and a later run count and act."""
    for job_id in ("a", "b"):
        store(real_broker, job_id)
        real_broker.command("LPUSH", P, job_id)
    store(real_broker, "last", attempts=2)
    real_broker.command("LPUSH", P, "last")
    done = run("recover", "--idle-for", "0s")
    assert (done.status, done.err) == (0, "")
    assert "left: noted for the first time" in done.out
    assert "run it again at" in done.out
    [preview] = objects(run("recover", "--idle-for", "0s", "--dry-run", "--json").out)
    assert (preview["done"], preview["dry_run"]) == (3, True)
    assert preview["targets"] == {LIST: 2, "bananas:queue:dead": 1}
    refused = run("recover", "--idle-for", "0s")
    assert (refused.status, refused.out) == (2, "")
    assert (
        "Recover 3 jobs? stdin is not a terminal, so nobody can answer: pass --yes" in refused.err
    )
    assert "to bananas:queue:dead" in refused.err
    assert run("recover", "--idle-for", "1h", "--yes", "--quiet") == (0, "0\n", "")
    [found] = objects(run("recover", "--idle-for", "0s", "--yes", "--limit", "1", "--json").out)
    assert (found["requeued"], found["left"]) == (1, 2)
    assert run("recover", "--idle-for", "0s", typed="n\n").status == 1
    assert real_broker.queued("queue:normal") == ["a"]
    done = run("recover", "--idle-for", "0s", "--quiet", typed="y\n")
    assert (done.status, real_broker.queued("queue:normal")) == (0, ["a", "b"])
    assert real_broker.queued("queue:dead") == ["last"]


def test_recover_is_told_what_it_needs(run: Bananas, real_broker: Broker) -> None:
    """How long is always said; where to, if a document names a route."""
    store(real_broker, "a", routing_key="gpu")
    real_broker.command("LPUSH", P, "a")
    assert run("recover").status == 2
    assert run("recover", "--idle-for", "soon").status == 2
    assert run("recover", "--idle-for", "0s", "--yes", "--quiet").status == 0
    done = run("recover", "--idle-for", "0s", "--yes")
    assert done.status == 2
    assert "pass --routes document" in done.err
    done = run("recover", "--idle-for", "0s", "--yes", "--routes", "document")
    assert "to bananas:route:gpu:queue:normal  1" in done.out


def test_doctor(run: Bananas, real_broker: Broker) -> None:
    """It says what is amiss; it repairs what is planned, if it is told to."""
    assert run("doctor", "--observe", "0") == (
        0,
        "checked 0 documents, 0 results, 0 ids: no problems\n",
        "",
    )
    real_broker.command("LPUSH", LIST, "gone")
    shown = run("doctor", "--observe", "0")
    assert (shown.status, shown.err) == (0, "")
    for words in (
        "no document",
        "1 id without a document in the",
        "remove the ids",
        "what to do",
        "gone",
    ):
        assert words in shown.out
    assert run("doctor", "--observe", "0", "--quiet") == (0, "no document\n", "")
    refused = run("doctor", "--observe", "0", "--repair", "--quiet")
    assert refused.status == 2
    assert "Repair 1 of 'no document' in bananas:queue:normal?" in refused.err
    assert run("doctor", "--observe", "0", "--repair", typed="n\n").status == 1
    assert real_broker.queued("queue:normal") == ["gone"]
    done = run("doctor", "--observe", "0", "--repair", "--yes", "--json")
    report, counts = objects(done.out)
    assert (done.status, done.err) == (0, "")
    assert [finding["kind"] for finding in report["findings"]] == ["no document"]
    assert (counts["done"], counts["repaired"]) == (1, {"no document": 1})
    done = run("doctor", "--observe", "0", "--repair")
    assert done.out.endswith("there is nothing to repair\n")
    assert run("doctor", "--observe", "1s").status == 2


def test_doctor_offers_jobs_without_a_place(
    run: Bananas, real_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither --yes nor a script queues them; a person at a terminal may."""
    monkeypatch.setattr("bananas._operating.doctor.sleep", _at_once)
    store(real_broker, "lost")
    done = run("doctor", "--repair", "--yes", "--quiet")
    assert done.status == 0
    assert "not changed: 1 of 'no place'; to be asked, pass no --yes, on a terminal" in done.err
    assert real_broker.queued("queue:normal") == []
    done = run("doctor", "--repair", typed="y\n")
    assert (done.status, real_broker.queued("queue:normal")) == (0, ["lost"])


async def _at_once(seconds: float) -> None:
    """Stand in for the time between two looks."""
