"""The commands that empty the dead letters, on a real Redis."""

from __future__ import annotations

import json
import signal
from typing import Any, Dict

import pytest

from tests.behaviour.broker import Broker
from tests.behaviour.command_line import Bananas, bananas_command
from tests.behaviour.letters import D, bury, dead
from tests.behaviour.terminal import at_a_terminal

__all__ = ["bananas_command"]

LIST = "bananas:queue:normal"


@pytest.fixture
def run(real_broker: Broker, bananas_command: Bananas, monkeypatch: pytest.MonkeyPatch) -> Bananas:
    """Runs a command on a real Redis, which BANANAS_REDIS_URL names."""
    monkeypatch.setenv("BANANAS_REDIS_URL", real_broker.url)
    return bananas_command


def counts(text: str) -> Dict[str, Any]:
    """Return the one object that was printed."""
    [line] = text.splitlines()
    found: Dict[str, Any] = json.loads(line)
    return found


def test_each_option_means_what_it_says(run: Bananas, real_broker: Broker) -> None:
    """Which dead letters are meant is counted, for people, for scripts, and in one number.

    The same options list just these.
    """
    bury(real_broker, "a", name="mail")
    bury(real_broker, "b", error="time-out 17")
    bury(real_broker, "c", routing_key="gpu", error="boom")
    bury(real_broker, "d", updated_at="2999-01-01T00:00:00Z")
    for options, expected in (
        (["--all"], 4),
        (["--all", "--limit", "3"], 3),
        (["--name", "mail"], 1),
        (["--error", "time"], 1),
        (["--error", "[0-9]+$", "--regex"], 1),
        (["--error", "[0-9]+$"], 0),
        (["--older-than", "3d"], 3),
        (["--route", "gpu"], 1),
        (["--route", ""], 3),
        (["--error", "boom", "--older-than", "1h"], 2),
    ):
        done = run("dead", "requeue", *options, "--dry-run", "--routes", "flat", "--quiet")
        assert (done.status, done.out, done.err) == (0, f"{expected}\n", ""), options
        listed = run("dead", "list", *options, "--quiet")
        assert (listed.status, len(listed.out.split()), listed.err) == (0, expected, ""), options
    found = counts(run("dead", "purge", "--name", "mail", "--dry-run", "--json").out)
    assert (found["done"], found["other"], found["dry_run"]) == (1, 3, True)
    shown = run("dead", "requeue", "--all", "--dry-run", "--routes", "document").out
    assert "would be requeued" in shown
    assert "to bananas:route:gpu:queue:normal" in shown
    assert len(dead(real_broker)) == 4


def test_listing_says_whether_there_are_more(run: Bananas, real_broker: Broker) -> None:
    """Of those that match; a filter leaves out ids whose document is gone."""
    real_broker.command("LPUSH", D, "gone")
    for number in range(3):
        bury(real_broker, f"job{number}", error=f"boom {number}")
    done = run("dead", "list", "--error", "boom", "--limit", "2")
    assert (done.status, done.err) == (
        0,
        "bananas: there are more than 2; pass --limit N or --all\n",
    )
    assert ("job1" in done.out, "job2" in done.out) == (True, False)
    done = run("dead", "list", "--error", "boom", "--limit", "3", "--json")
    assert [json.loads(line)["job_id"] for line in done.out.splitlines()] == [
        "job0",
        "job1",
        "job2",
    ]
    done = run("dead", "list", "--name", "other")
    assert done == (0, "", "bananas: no dead letter matches\n")
    assert "gone" in run("dead", "list").out
    refused = run("dead", "list", "--regex")
    assert (refused.status, refused.out) == (2, "")
    assert "--regex needs --error" in refused.err
    real_broker.command("DEL", D)
    assert run("dead", "list") == (0, "", "bananas: there are no dead letters\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "pass --all, or one or more of"),
        (["--all", "--name", "a"], "not both"),
        (["--name", "a", "--regex"], "--regex needs --error"),
        (["--error", "(", "--regex"], "not a valid regular expression"),
        (["--older-than", "soon"], "--older-than must be a span of time"),
        (["--all", "--routes", "other"], "--routes must be flat or document"),
        (["--all", "--yes", "--rate", "0"], "--rate must be more than 0"),
        (["--all", "--yes"], "pass --routes document if workers of that route run it"),
        (["--all"], "stdin is not a terminal, so nobody can answer: pass --yes"),
    ],
)
def test_what_is_not_said_properly(
    run: Bananas, real_broker: Broker, options: str, message: str
) -> None:
    """It is status 2, in one line, and nothing is done."""
    bury(real_broker, "a", routing_key="gpu")
    done = run("dead", "requeue", *options)
    assert (done.status, done.out) == (2, "")
    assert message in " ".join(done.err.replace("│", " ").split())
    assert dead(real_broker) == ["a"]


def test_requeue_and_purge(run: Bananas, real_broker: Broker) -> None:
    """Without a terminal there is no bar; what went where, and what stays, is said."""
    for number in range(5):
        bury(real_broker, f"job{number}", name="work" if number % 2 else "other")
    real_broker.command("LPUSH", D, "gone")
    done = run("dead", "requeue", "--name", "work", "--yes", "--json")
    assert (done.status, done.err) == (0, "")
    found = counts(done.out)
    assert (found["done"], found["targets"], found["dry_run"]) == (2, {LIST: 2}, False)
    assert real_broker.queued("queue:normal") == ["job1", "job3"]
    done = run("dead", "requeue", "--all", "--yes", "--limit", "1", "--rate", "1000")
    assert (done.status, done.err) == (0, "")
    assert done.out.split() == ["requeued", "1", "to", LIST, "1"]
    assert run("dead", "purge", "--all", "--yes", "--quiet") == (0, "3\n", "")
    assert real_broker.command("EXISTS", D) == 0
    assert counts(run("dead", "purge", "--all", "--yes", "--json").out)["done"] == 0


def test_an_error_on_the_way_says_what_was_done(run: Bananas, real_broker: Broker) -> None:
    """Here a route that has to be chosen is found after the first page was moved."""
    for number in range(250):
        bury(real_broker, f"job{number}")
    bury(real_broker, "routed", routing_key="gpu")
    done = run("dead", "requeue", "--all", "--yes", "--json")
    assert done.status == 2
    assert counts(done.out)["done"] == 200
    assert "requeued before the error: 200; to go on, run it again" in done.err
    assert "job routed has the route 'gpu'" in done.err


@pytest.mark.parametrize(
    ("typed", "status", "left"), [("\n", 1, 3), ("\x03\n", 130, 3), ("y\n", 0, 0)]
)
def test_it_counts_and_asks(
    run: Bananas, real_broker: Broker, typed: str, status: int, left: int
) -> None:
    """Counts for each list come before the question, and no is the default answer."""
    for number in range(3):
        bury(real_broker, f"job{number}")
    done = run("dead", "requeue", "--all", typed=typed)
    assert done.status == status
    assert f"to {LIST}" in done.err
    assert "Requeue 3 dead letters?" in done.out + done.err
    assert len(dead(real_broker)) == left
    done = run("dead", "purge", "--name", "none", "--quiet", typed="")  # nothing to ask about
    assert done == (0, "0\n", "")


def test_ctrl_c(run: Bananas, real_broker: Broker) -> None:
    """It says how many went, and how to go on; the same command again does the rest."""
    for number in range(500):
        bury(real_broker, f"job{number}")
    command = ("dead", "requeue", "--all", "--yes", "--limit", "400")
    done = at_a_terminal(*command, "--rate", "50", until="requeued 50", then=signal.SIGINT)
    assert done.status == 130
    moved = len(real_broker.queued("queue:normal"))
    assert 50 <= moved < 400
    assert f"interrupted; requeued: {moved}, perhaps more" in done.out.replace("\r\n", " ")
    assert f"--limit {400 - moved}" in done.out
    assert run("dead", "requeue", "--all", "--yes", "--quiet").out == f"{500 - moved}\n"
    assert real_broker.queued("queue:normal") == [f"job{number}" for number in range(500)]
