"""What the demo shows of what it knows."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from typing import Any, Dict

import pytest
from rich.console import Console

from bananas import Job, JobResult, JobSpec, JobStatus
from bananas.cli.demo_jobs import DemoJob, Progress
from bananas.cli.demo_view import View, outcomes, summary

NOW = datetime(2025, 1, 15, 10, 30, tzinfo=timezone.utc)
JOB = DemoJob("a job", JobSpec("demo", {}, job_id="a"))


def text(*shown: Any) -> str:
    """Return what a console of 80 columns makes of some things."""
    console = Console(file=io.StringIO(), width=80)
    for thing in shown:
        console.print(thing, soft_wrap=True)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def lines(*rows: Progress) -> str:
    """Return the plain lines that are printed of some states of one job."""
    console = Console(file=io.StringIO(), width=80)
    with View(console, embedded=False, emulated=False) as view:
        for row in rows:
            view.show([row])
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def document(**changes: Any) -> Job:
    """Return a document of the job."""
    return Job("a", "demo", {}, **changes)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@localhost:6379/0", "redis://localhost:6379/0"),
        ("rediss://:s%40cret@localhost/0?ssl_cert_reqs=none", "rediss://localhost/0"),
        ("unix://user:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("redis://localhost", "redis://localhost"),
    ],
)
def test_credentials_are_not_shown(url: str, shown: str) -> None:
    """The URL is shown without user, password and options."""
    console = Console(file=io.StringIO(), width=80)
    View(console, embedded=False, emulated=True).started(url)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.splitlines()[0] == f"Redis:  {shown}"


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ({"where": "queued", "document": document()}, "queued, priority normal"),
        ({"where": "taken", "document": document(attempts=1)}, "running, attempt 2"),
        (
            {"where": "scheduled", "document": document(scheduled_for=NOW)},
            "scheduled, due in 0.0 s",
        ),
        (
            {"where": "retrying", "document": document(error="boom", scheduled_for=NOW)},
            'retrying after "boom", due in 0.0 s',
        ),
        ({"where": "retrying", "document": document(error="boom")}, 'retrying after "boom"'),
        ({"where": "missing", "document": document()}, "missing"),
        ({"ended_at": NOW, "result": JobResult("a", JobStatus.COMPLETED)}, "completed"),
        ({"ended_at": NOW, "result": JobResult("a", JobStatus.COMPLETED, [1])}, "completed: [1]"),
        ({"ended_at": NOW, "result": JobResult("a", JobStatus.FAILED, error="x")}, "failed: x"),
        ({"ended_at": NOW}, "no outcome"),
    ],
)
def test_a_state_is_a_line(state: Dict[str, Any], line: str) -> None:
    """Each state of a job is said in a few words."""
    shown = lines(Progress(JOB, **state)).splitlines()
    assert shown[0].endswith("1 jobs submitted")
    assert shown[1].partition("a job")[2].strip() == line
    assert len(shown) == 2


def test_a_line_is_printed_once() -> None:
    """What has not changed is not said again, and what is not known is not said."""
    unknown, queued = Progress(JOB), Progress(JOB, where="queued", document=document())
    assert lines(unknown, queued, queued).count("\n") == 2


def test_a_terminal_gets_a_table_that_goes_away() -> None:
    """On a terminal the states are one table, which is taken off when the view is closed."""
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system="truecolor")
    with View(console, embedded=False, emulated=False) as view:
        view.show([Progress(JOB)])
        view.show([Progress(JOB, where="taken", document=document())])
        shown = file.getvalue()
    assert shown.count("what happens to it") == 2
    assert "running, attempt 1" in shown
    assert file.getvalue().endswith("\x1b[1A\x1b[2K" * 5)  # its five lines are erased


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that can't move its cursor is treated as a file is."""
    monkeypatch.setenv("TERM", "dumb")
    file = io.StringIO()
    with View(Console(file=file, force_terminal=True), embedded=True, emulated=True) as view:
        view.show([Progress(JOB)])
    assert "1 jobs submitted" in file.getvalue()


def test_outcomes_and_summary_name_what_was_wrong() -> None:
    """An outcome that was not expected is marked, and explained below the table."""
    good = Progress(JOB, ended_at=NOW, seconds=1.5, result=JobResult("a", JobStatus.COMPLETED))
    bad = Progress(JOB, ended_at=NOW, seconds=2.25, problems=["it is late", "it is wrong"])
    table = text(outcomes([good, bad]))
    assert [line.split("│")[-2].strip() for line in table.splitlines()[3:5]] == ["yes", "no"]
    assert text(summary([good, bad])).splitlines() == [
        "a job: it is late",
        "a job: it is wrong",
        "1 of 2 jobs ended as expected, in 2.2 s",
    ]
