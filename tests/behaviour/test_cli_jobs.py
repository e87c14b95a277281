"""The commands for single jobs: submit, call, wait, job, result; and version."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
import typer

import bananas
from bananas import Client
from bananas.cli.app import app
from bananas.testing import LocalQueue
from tests.behaviour.broker import Broker
from tests.behaviour.command_line import Bananas, Done, bananas_command
from tests.behaviour.programs import ROOT, environment, python
from tests.behaviour.programs import run as in_a_process

__all__ = ["bananas_command"]

_PATIENCE = 120


@pytest.fixture
def run(
    embedded_session: Broker, bananas_command: Bananas, monkeypatch: pytest.MonkeyPatch
) -> Bananas:
    """Runs a command on the embedded broker, which BANANAS_REDIS_URL names."""
    embedded_session.flush()
    monkeypatch.setenv("BANANAS_REDIS_URL", embedded_session.url)
    return bananas_command


@pytest.fixture
def worker(run: Bananas, embedded_session: Broker) -> Iterator[LocalQueue]:
    """A worker for the jobs of those commands."""
    with LocalQueue(embedded_session.url) as queue:
        queue.handle("double", lambda job: 2 * job.payload)
        queue.handle("silent", lambda job: None)
        queue.handle("boom", _fail)
        yield queue


def _fail(job: bananas.Job) -> None:
    raise RuntimeError("boom")


def _objects(done: Done) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in done.out.splitlines()]


def test_submit(run: Bananas, embedded_session: Broker, tmp_path: Path) -> None:
    """A payload comes from the argument, a file or stdin; options go into the document."""
    done = run("submit", "work", '{"a": [1, "ä"]}', "--quiet")
    assert (done.status, done.err) == (0, "")
    assert embedded_session.job(done.out.strip())["payload"] == {"a": [1, "ä"]}
    path = tmp_path / "payload.json"
    path.write_text('["ä"]', encoding="utf-8")
    [made] = _objects(run("submit", "work", f"@{path}", "--json", "--priority", "low"))
    assert embedded_session.job(made["job_id"])["payload"] == ["ä"]
    assert embedded_session.queued("queue:low") == [made["job_id"]]
    done = run("submit", "work", "-", "--id", "chosen", "--route", "eu", stdin='"text"')
    assert done == (0, "submitted chosen\n", "")
    assert embedded_session.job("chosen")["payload"] == "text"
    assert embedded_session.queued("route:eu:queue:normal") == ["chosen"]
    assert run("submit", "work", "1", "--id", "chosen", "-q").out == "chosen\n"
    again = run("submit", "work", "1", "--id", "chosen", "--in", "1h")
    assert again == (0, "chosen exists already and was not queued again\n", "")
    [again] = _objects(run("submit", "work", "1", "--id", "chosen", "--json"))
    assert again == {"job_id": "chosen", "existed": True}
    assert embedded_session.job("chosen")["payload"] == "text"
    assert run("submit", "work", "--max-retries", "1", "--description", "d").status == 0


def test_submit_for_later(run: Bananas, embedded_session: Broker) -> None:
    """--in is a span, --at a time with a zone."""
    now = datetime.now(timezone.utc)
    assert run("submit", "work", "--in", "1h30m", "--id", "a").status == 0
    due = datetime.fromtimestamp(embedded_session.scheduled()["a"], timezone.utc)
    assert timedelta(hours=1, minutes=29) < due - now < timedelta(hours=1, minutes=32)
    for at, job_id in (("2035-01-31T12:00:00Z", "b"), ("2035-01-31T13:00:00+01:00", "c")):
        assert run("submit", "work", "--at", at, "--id", job_id).status == 0
        assert embedded_session.job(job_id)["scheduled_for"] == "2035-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("submit", "work", "text"), "is not JSON"),
        (("submit", "work", "NaN"), "NaN is not a JSON value"),
        (("submit", "work", "@/no/such/file"), "can't read /no/such/file"),
        (("submit", "work", "--at", "2035-01-31T12:00:00"), "time zone"),
        (("submit", "work", "--at", "tomorrow"), "--at must be a time"),
        (("submit", "work", "--at", "2035-01-31 12:00 Europe/Nowhere"), "--at"),
        (("submit", "work", "--in", "soon"), "--in must be a span"),
        (("submit", "work", "--in", "1h", "--at", "2035-01-31T12:00:00Z"), "not both"),
        (("submit", "work", "--priority", "urgent"), "high, normal or low"),
        (("submit", "work", "--id", "a b"), "ID must be"),
        (("submit", "work", "--route", "a b"), "--route must be"),
        (("submit", ""), "NAME must not be empty"),
        (("submit",), "Missing argument"),
        (("wait", "a", "--timeout", "-1"), "--timeout must be a span"),
        (("job", "a", "--redis", "localhost:6379"), "--redis must"),
        (("job", "a", "--redis", "redis://localhost:port"), "--redis"),
        (("nothing",), "nothing"),
        (("schedule", "work"), "'submit NAME --at TIME'"),
        (("dead-letters",), "'dead'"),
        (("--redis", "redis://localhost", "job", "a"), "--redis must come after the command"),
        (("dead", "--limit=1", "list"), "--limit must come after the command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_command_line(run: Bananas, arguments: Any, said: str) -> None:
    """It ends with status 2, prints nothing on stdout, and says what is wrong."""
    done = run(*arguments)
    assert (done.status, done.out) == (2, "")
    assert said in " ".join(done.err.replace("│", " ").split())


def test_a_malformed_url_from_the_environment(
    run: Bananas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is status 2 too, and the variable is named."""
    monkeypatch.setenv("BANANAS_REDIS_URL", "http://localhost")
    done = run("job", "a")
    assert (done.status, done.out) == (2, "")
    assert "BANANAS_REDIS_URL must start with redis://" in done.err


def test_call(run: Bananas, worker: LocalQueue) -> None:
    """It prints what the handler returned, and its status says how the job ended."""
    assert run("call", "double", "21") == (0, "42\n", "")
    assert run("call", "silent") == (0, "", "")
    [found] = _objects(run("call", "double", "21", "--json"))
    assert (found["status"], found["result"], found["has_data"]) == ("completed", 42, True)
    done = run("call", "boom", "--max-retries", "1", "--id", "bad")
    assert done == (3, "", "bananas: job bad failed: boom\n")
    done = run("call", "boom", "--max-retries", "1", "--json")
    assert (done.status, _objects(done)[0]["error"]) == (3, "boom")


def test_a_call_without_a_worker(run: Bananas) -> None:
    """It ends with status 4 at its limit, and says where the job is."""
    done = run("call", "nobody", "1", "--timeout", "0.05s", "--id", "slow")
    assert (done.status, done.out) == (4, "")
    assert "job slow" in done.err
    is_unknown = "its place is unknown" in done.err  # Redis did not answer the last question
    assert done.err.endswith("; ask why with: bananas explain slow\n") is not is_unknown


def test_wait(run: Bananas, worker: LocalQueue, embedded_session: Broker) -> None:
    """One line for each job as it ends; the worst outcome is the status."""
    with Client(embedded_session.url) as client:
        good = client.submit_job("double", 1)
        silent = client.submit_job("silent", 1)
        bad = client.submit_job("boom", 1, max_retries=1)
        later = client.submit_job_scheduled("double", 1, scheduled_for=timedelta(hours=1))
    done = run("wait", good, silent, good)
    assert (done.status, done.err) == (0, "")
    assert set(done.out.splitlines()) == {f"{good} completed: 2", f"{silent} completed"}
    done = run("wait", bad, good)
    assert done.status == 3
    assert f"{bad} failed: boom" in done.out.splitlines()
    done = run("wait", bad, later, "--timeout", "0.1", "--json")
    assert done.status == 4
    assert [found["job_id"] for found in _objects(done)] == [bad]
    assert done.err.endswith(f"; not ended: {later}; ask why with: bananas explain {later}\n")
    done = run("wait", "none", "--must-exist")
    assert done == (5, "", "bananas: there is no job none\n")
    assert run("wait", good, "--quiet") == (0, "", "")
    embedded_session.command("DEL", f"bananas:result:{good}")
    assert run("wait", good).status == 5


def test_job(run: Bananas, worker: LocalQueue, embedded_session: Broker) -> None:
    """It prints the place, the document and the result."""
    assert run("call", "double", "1e400", "--id", "x").status == 1  # not to be read as a float
    run("call", "double", "[12, 1.50]", "--id", "good")
    [found] = _objects(run("job", "good", "--json"))
    assert (found["job_id"], found["place"]) == ("good", "completed")
    assert found["document"]["payload"] == [12, 1.5]
    assert found["result"]["result"] == [12, 1.5, 12, 1.5]
    assert run("job", "good", "--quiet").out == "completed\n"
    shown = run("job", "good")
    assert shown.status == 0
    for word in ("completed", "double", "[12, 1.5]", "stored result"):
        assert word in shown.out
    done = run("job", "none")
    assert (done.status, done.out) == (5, "")
    assert "there is no job none" in done.err
    assert run("job", "none", "--quiet").out == "missing\n"
    embedded_session.command("SET", "bananas:job:odd", "{")
    assert _objects(run("job", "odd", "--json"))[0]["place"] == "unreadable"


def test_result(run: Bananas, worker: LocalQueue) -> None:
    """It prints the stored result; a failure is status 3, and none is 5."""
    run("call", "double", "21", "--id", "good")
    run("call", "boom", "--max-retries", "1", "--id", "bad")
    assert run("result", "good", "--quiet") == (0, "42\n", "")
    assert "42" in run("result", "good").out
    done = run("result", "bad", "--json")
    assert (done.status, _objects(done)[0]["error"]) == (3, "boom")
    none = "bananas: no result of job none is stored; ask why with: bananas explain none\n"
    assert run("result", "none") == (5, "", none)


def test_version(run: Bananas) -> None:
    """It prints the versions of all that belongs in a bug report."""
    [found] = _objects(run("version", "--json"))
    assert found["bananas"] == bananas.__version__
    assert {"python", "platform", "redis", "anyio", "typer", "rich"} <= found.keys()
    assert run("version", "--quiet") == (0, f"{bananas.__version__}\n", "")
    assert "hiredis" in run("version").out


def _commands() -> Dict[str, Any]:
    """Return all commands, those of groups included, by what is typed for them."""
    found: Dict[str, Any] = {}
    left = {"": typer.main.get_command(app)}
    while left:
        name, command = left.popitem()
        inner = getattr(command, "commands", None)
        if inner is None:
            found[name] = command
        else:
            left.update({f"{name} {word}".strip(): one for word, one in inner.items()})
    return found


@pytest.mark.parametrize("command", _commands())
def test_the_reference_names_each_command(command: str) -> None:
    """docs/reference/cli has a section for it, with each option that only some commands have."""
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    section = page.partition(f"## `bananas {command}`\n")[2].partition("\n## ")[0]
    assert section, f"there is no section for bananas {command}"
    shared = {"--redis", "--key-prefix", "--json", "--quiet", "-q", "--help"}
    if command == "call":
        section += page.partition("## `bananas submit`\n")[2].partition("\n## ")[0]
    options = {name for parameter in _commands()[command].params for name in parameter.opts}
    missing = {name for name in options - shared if name.startswith("--") and name not in section}
    assert missing == set()


@pytest.mark.parametrize("command", _commands())
def test_each_command_has_an_example(run: Bananas, command: str) -> None:
    """--help shows one, and says on which Redis the command works."""
    done = run(*command.split(), "--help")
    assert (done.status, done.err) == (0, "")
    assert f"Example: bananas {command}" in " ".join(done.out.split())
    assert command == "version" or "--redis" in done.out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("bananas dead re", "requeue"),
        ("bananas dead requeue --older", "--older-than"),
        ("bananas dead requeue --routes fl", "flat"),
        ("bananas jobs ret", "retrying"),
        ("bananas call work --on-timeout ca", "cancel"),
        ("bananas submit work --priority hi", "high"),
    ],
)
def test_a_shell_completes(
    bananas_command: Bananas, monkeypatch: pytest.MonkeyPatch, typed: str, offered: str
) -> None:
    """Commands, options, and the words that an option takes."""
    monkeypatch.setenv("_BANANAS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    assert bananas_command() == (0, f"{offered}\n", "")


def test_a_broken_pipe_is_silent() -> None:
    """A reader that goes away ends the command without a word."""
    process = subprocess.Popen(
        python("-m", "bananas", "version"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=str(ROOT),
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(_PATIENCE), said) == (1, b"")


def test_narrow_terminals(run: Bananas, embedded_session: Broker) -> None:
    """What is wider than 60 columns is folded, and nothing of it is lost."""
    run("submit", "work", '{"text": "' + "x" * 200 + '"}', "--id", "a" * 80)
    done = in_a_process("-m", "bananas", "job", "a" * 80, BANANAS_REDIS_URL=embedded_session.url,
                        COLUMNS="60")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 60
    assert (done.stdout.count("a"), done.stdout.count("x")) >= (80, 200)
