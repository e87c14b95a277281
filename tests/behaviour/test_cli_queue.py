"""The commands that look at the queue and change jobs in it."""

from __future__ import annotations

import json
import re
import signal
from datetime import timedelta
from typing import Any, Dict, List

import pytest

from bananas import Client
from bananas.testing import LocalQueue
from tests.behaviour.broker import Broker
from tests.behaviour.command_line import Bananas, Done, bananas_command
from tests.behaviour.terminal import at_a_terminal

__all__ = ["bananas_command"]


@pytest.fixture
def run(real_broker: Broker, bananas_command: Bananas, monkeypatch: pytest.MonkeyPatch) -> Bananas:
    """Runs a command on a real Redis, which BANANAS_REDIS_URL names."""
    monkeypatch.setenv("BANANAS_REDIS_URL", real_broker.url)
    return bananas_command


def _objects(done: Done) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in done.out.splitlines()]


def _dead_letter(broker: Broker, job_id: str) -> None:
    """Have a job fail for good."""
    with LocalQueue(broker.url) as queue:
        queue.handle("boom", _fail)
        with Client(broker.url) as client:
            client.submit_job("boom", 1, job_id=job_id, max_retries=1)
            assert client.wait_for_result(job_id).is_failed


def _fail(job: object) -> None:
    raise RuntimeError("out of bananas")


def test_queues(run: Bananas, real_broker: Broker) -> None:
    """It counts what is where; for a script, one number."""
    with Client(real_broker.url) as client:
        client.submit_jobs([])
        client.submit_job("work", 1, "high")
        client.submit_job("work", 1, routing_key="eu")
        client.submit_job_scheduled("work", 1, scheduled_for=timedelta(hours=1))
    [found] = _objects(run("queues", "--json", "--route", "eu"))
    assert (found["scheduled"], found["processing"], found["dead"]) == (1, 0, 0)
    assert [one["routing_key"] for one in found["queued"]] == [None, "eu"]
    assert run("queues", "--quiet") == (0, "1\n", "")
    assert run("queues", "--discover", "--quiet") == (0, "2\n", "")
    shown = run("queues", "--route", "eu").out
    for word in ("(flat lists)", "eu", "high", "scheduled  1", "taken", "dead"):
        assert word in shown


def test_jobs(run: Bananas, real_broker: Broker) -> None:
    """It lists the jobs of a place, and says where there are more."""
    with Client(real_broker.url) as client:
        ids = [client.submit_job("work", number) for number in range(5)]
        client.submit_job("work", 1, "low", job_id="slow")
    real_broker.command("LPUSH", "bananas:queue:normal", "gone")
    assert set(run("jobs", "queued", "--quiet").out.split()) == {*ids, "slow", "gone"}
    found = _objects(run("jobs", "queued", "--limit", "3", "--json"))
    assert len(found) == 3
    assert {one["place"] for one in found} == {"queued"}
    done = run("jobs", "queued", "--limit", "3")
    assert (done.status, done.err) == (
        0,
        "bananas: there are more than 3; pass --limit N or --all\n",
    )
    assert "gone" in run("jobs", "queued", "--all").out
    assert run("jobs", "queued", "--priority", "low", "-q") == (0, "slow\n", "")
    assert run("jobs", "dead") == (0, "", "bananas: no job is dead\n")
    assert run("jobs", "nowhere").status == 2


def test_a_narrow_terminal_folds_no_id(
    run: Bananas, real_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit into a table is a block for each job, so that ids can be copied."""
    monkeypatch.setattr("bananas.cli.output._WIDTH_OF_FILES", 60)
    with Client(real_broker.url) as client:
        job_id = client.submit_job("resize_image", 1)
        short = client.submit_job("resize_image", 1, "low", job_id="short")
    shown = run("jobs", "queued").out
    assert job_id in shown
    assert max(map(len, shown.splitlines())) <= 60
    table = run("jobs", "queued", "--priority", "low").out
    assert re.search(rf"│ {short} +│ resize_image +│", table)
    assert max(map(len, table.splitlines())) <= 60


def test_dead_letters(run: Bananas, real_broker: Broker) -> None:
    """They are listed and shown, and one can be queued again."""
    _dead_letter(real_broker, "bad")
    assert run("dead", "list", "--quiet") == (0, "bad\n", "")
    assert _objects(run("dead", "list", "--json"))[0]["last_error"] == "out of bananas"
    assert "out of bananas" in run("dead", "show", "bad").out
    assert run("requeue", "bad") == (0, "bad requeued\n", "")
    assert real_broker.queued("queue:normal") == ["bad"]
    done = run("requeue", "bad", "--json")
    assert (done.status, _objects(done)) == (5, [{"job_id": "bad", "outcome": "missing"}])
    assert run("requeue", "bad").err == "bananas: can't requeue job bad: it is not a dead letter\n"


def test_explain(run: Bananas, real_broker: Broker) -> None:
    """It says where a job is, and why; a job that is not there is status 5."""
    with Client(real_broker.url) as client:
        client.submit_job("work", 1, job_id="a")
    [found] = _objects(run("explain", "a", "--json"))
    assert (found["job_id"], found["place"], found["position"]) == ("a", "queued", 0)
    shown = run("explain", "a")
    assert (shown.status, shown.err) == (0, "")
    for word in ("queued", "cause", "what to do"):
        assert word in shown.out
    assert run("explain", "none", "--quiet") == (5, "missing\n", "")
    assert run("explain", "a", "--observe", "1s").status == 2
    assert "--redis and --key-prefix" in " ".join(run("explain", "none").out.split())


def test_cancel_and_reschedule(run: Bananas, real_broker: Broker) -> None:
    """What became of each job is said, and its status."""
    with Client(real_broker.url) as client:
        for job_id in ("a", "b", "c"):
            client.submit_job_scheduled("work", 1, scheduled_for=timedelta(hours=1), job_id=job_id)
    assert run("cancel", "a", "b", "--reason", "wrong size") == (
        0,
        "a cancelled\nb cancelled\n",
        "",
    )
    done = run("cancel", "a", "none", "--json")
    assert done.status == 5
    assert [one["outcome"] for one in _objects(done)] == ["cancelled", "missing"]
    real_broker.command("LPUSH", "bananas:queue:processing", "c")
    assert run("cancel", "c") == (
        1,
        "",
        "bananas: job c: a worker has taken it; nothing was done\n",
    )
    real_broker.command("DEL", "bananas:queue:processing")
    before = real_broker.scheduled()["c"]
    assert run("reschedule", "c", "--in", "3h") == (0, "c rescheduled\n", "")
    assert real_broker.scheduled()["c"] - before > 3600
    assert run("reschedule", "c").status == 2
    assert run("delete", "a").status == 2  # nobody can be asked
    assert run("delete", "c", "--yes").status == 1
    assert run("delete", "a", "--yes") == (0, "a deleted\n", "")
    assert run("job", "a").status == 5


def test_a_call_that_takes_too_long(run: Bananas, real_broker: Broker) -> None:
    """Its job goes on, or is cancelled where that was said."""
    done = run("call", "work", "--id", "a", "--timeout", "0.01s")
    assert done.status == 4
    done = run("call", "work", "--id", "b", "--timeout", "0.01s", "--on-timeout", "cancel")
    assert (done.status, done.out) == (4, "")
    assert done.err == "bananas: job b has not ended in time, and was cancelled\n"
    assert real_broker.queued("queue:normal") == ["a"]
    assert run("call", "work", "--on-timeout", "stop").status == 2


def test_ctrl_c_during_a_call(run: Bananas, real_broker: Broker) -> None:
    """The job is cancelled where that was said, before the command ends."""
    done = at_a_terminal(
        "call", "work", "--id", "a", "--on-timeout", "cancel",
        until="waiting for a", when=lambda: real_broker.queued("queue:normal"), then=signal.SIGINT,
    )  # fmt: skip
    assert done.status == 130
    assert "interrupted; job a: cancelled" in done.out
    assert real_broker.queued("queue:normal") == []


def test_watch(run: Bananas, real_broker: Broker) -> None:
    """It prints the changes of a job until its end, which is the status."""
    with Client(real_broker.url) as client:
        client.submit_job("work", 1, job_id="a")
    done = run("watch", "a", "--timeout", "0.05s", "--quiet")
    assert (done.status, done.out) == (4, "queued\n")
    done = run("watch", "none", "--timeout", "0")
    assert (done.status, done.out) == (4, "")
    assert "there is no job none yet; waiting until Ctrl-C or --timeout" in done.err
    _dead_letter(real_broker, "bad")
    done = run("watch", "bad", "--json")
    assert (done.status, done.err) == (3, "")
    assert _objects(done)[-1]["kind"] == "finished"


def test_watching_queues_on_a_terminal(run: Bananas) -> None:
    """The table changes in place until Ctrl-C, which ends it with status 130."""
    done = at_a_terminal("queues", "--watch", until="dead", then=signal.SIGINT)
    assert done.status == 130
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.out).replace("\r", "\n").split("\n")
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize("command", ["cancel", "delete"])
@pytest.mark.parametrize(
    ("typed", "status", "left"), [("\n", 1, 1), ("n\n", 1, 1), ("\x03\n", 130, 1), ("y\n", 0, 0)]
)
def test_what_destroys_is_asked_about(
    run: Bananas, real_broker: Broker, command: str, typed: str, status: int, left: int
) -> None:
    """At a terminal; no is the default, and whoever names jobs with --yes is not asked."""
    if command == "delete":
        _dead_letter(real_broker, "a")
    else:
        with Client(real_broker.url) as client:
            client.submit_job("work", 1, job_id="a")
    before = real_broker.document("a")
    done = run(command, "a", typed=typed)
    assert done.status == status
    assert f"{command.capitalize()} job a" in done.out + done.err
    assert (real_broker.document("a") == before) is bool(left)
    done = run(command, "a", "--yes", typed="")
    assert (done.status, done.err) == ((0, "") if left or command == "cancel" else (5, done.err))
