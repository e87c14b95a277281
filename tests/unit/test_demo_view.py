"""What the demo shows of what it knows."""

from __future__ import annotations

import io
import textwrap
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List

import pytest
from rich.console import Console

from bananas import AsyncClient, Job, JobResult, JobSpec, JobStatus
from bananas.cli import demo_story
from bananas.cli.demo_jobs import HANDLER, DemoJob, Progress, handle, new_jobs
from bananas.cli.demo_view import View
from bananas.testing import LocalQueue

NOW = datetime(2025, 1, 15, 10, 30, tzinfo=timezone.utc)
JOB = DemoJob("a job", JobSpec("demo", {}, job_id="a"))
FAILS = DemoJob("a job", JobSpec("demo", {}, job_id="a"), ends=JobStatus.FAILED)
COMPLETED, FAILED = JobStatus.COMPLETED, JobStatus.FAILED


def shown(*steps: Progress, **options: Any) -> str:
    """Return what a console of 60 columns shows of some states of one job."""
    console = Console(file=io.StringIO(), width=60, **options)
    with View(console, embedded=False, emulated=False) as view:
        for row in steps:
            view.show([row])
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def finished(*rows: Progress) -> List[str]:
    """Return the lines that are shown in the end."""
    console = Console(file=io.StringIO(), width=60)
    View(console, embedded=False, emulated=False).finish(rows)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def document(**changes: Any) -> Job:
    """Return a document of the job."""
    return Job("a", "demo", {}, **changes)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://user:secret@localhost:6379/0", "redis://localhost:6379/0"),
        ("rediss://:s%40cret@localhost/0?ssl_cert_reqs=none", "rediss://localhost/0"),
        ("unix://user:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("redis://localhost", "redis://localhost"),
    ],
)
def test_credentials_are_not_shown(url: str, said: str) -> None:
    """The URL is shown without user, password and options."""
    console = Console(file=io.StringIO(), width=60)
    View(console, embedded=False, emulated=True).started(url)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.splitlines()[0] == f"Redis:  {said}"


def ended(job: DemoJob, status: JobStatus, *data: Any, error: str = "") -> Dict[str, Any]:
    """Return what is known of a job that has ended."""
    return {"job": job, "ended_at": NOW, "result": JobResult("a", status, *data, error=error)}


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ({"where": "queued", "document": document()}, "queued, waits for a free worker"),
        ({"where": "taken", "document": document()}, "a worker runs it"),
        ({"where": "taken", "document": document(attempts=1)}, "attempt 2 runs"),
        ({"where": "scheduled", "document": document()}, "waits; may be 2 s late, never early"),
        (
            {"where": "retrying", "document": document(attempts=1, error="boom\nat line 1")},
            "failed: boom; retry in about 2 s",
        ),
        (
            {"where": "retrying", "document": document(attempts=2, error="no such customer")},
            "failed: no s...; retry in about 4 s",
        ),
        ({"where": "missing", "document": document()}, "missing"),
        (ended(JOB, COMPLETED), "done, without data"),
        (ended(JOB, COMPLETED, {"attempt": 1}), 'done, returned {"attempt": 1}'),
        (ended(JOB, COMPLETED, list(range(50))), "done, returned [0, 1, 2, 3, 4, 5..."),
        (ended(JOB, FAILED, error="x"), "failed, not as planned"),
        (ended(FAILS, FAILED, error="x"), "failed as planned: no attempt left"),
        (ended(FAILS, COMPLETED), "completed, not as planned"),
        ({"ended_at": NOW}, "no result"),
    ],
)
def test_a_step_is_a_line(state: Dict[str, Any], line: str) -> None:
    """Each step of a job is said in a few words, in 60 columns."""
    state.setdefault("job", JOB)
    lines = shown(Progress(**state)).splitlines()
    assert lines[0].endswith("1 jobs submitted, in one round trip")
    assert lines[1].partition("a job")[2].strip() == line
    assert len(lines) == 2
    assert len(lines[1]) <= 60


def test_the_titles_have_room() -> None:
    """The title of each job leaves the 60 columns as they are."""
    assert max(len(job.title) for job in new_jobs(NOW)) <= 15


def test_a_line_is_printed_once() -> None:
    """What has not changed is not said again, and what is not known is not said."""
    unknown, queued = Progress(JOB), Progress(JOB, where="queued", document=document())
    assert shown(unknown, queued, queued).count("\n") == 2


def test_a_terminal_keeps_the_lines() -> None:
    """On a terminal only the sum below the lines is taken off when the view is closed."""
    taken = Progress(JOB, where="taken", document=document())
    said = shown(Progress(JOB), taken, force_terminal=True, color_system="truecolor")
    assert "0 of 1 jobs have ended" in said.rpartition("a worker runs it")[2]
    assert said.endswith("\x1b[1A\x1b[2K")  # one line up, and that one erased
    assert said.count("\x1b[1A") == 1


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that can't move its cursor is treated as a file is."""
    monkeypatch.setenv("TERM", "dumb")
    assert shown(Progress(JOB), force_terminal=True).count("\n") == 1


def test_the_sum_counts_down() -> None:
    """The sum says when the next job is due."""
    due = datetime.now(timezone.utc) + timedelta(hours=1)
    waits = Progress(JOB, where="scheduled", document=document(scheduled_for=due))
    done = Progress(**ended(JOB, COMPLETED))
    said = demo_story.waiting([done, waits])
    assert said.startswith("1 of 2 jobs have ended, the next one is due in 3")


def test_what_was_wrong_is_named() -> None:
    """What was not as planned is said, and no code is shown."""
    good = Progress(JOB, seconds=1.5)
    bad = Progress(JOB, seconds=2.25, problems=["it is late", "it is wrong"])
    assert finished(good, bad) == [
        "a job: it is late",
        "a job: it is wrong",
        "1 of 2 jobs ended as planned, in 2.2 s",
    ]


async def test_the_code_that_is_shown_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """In the end there is the code of one job, which does what it says, and the next step."""
    lines = finished(Progress(JOB))
    assert lines[-2:] == demo_story.next_step().splitlines()
    assert max(map(len, lines)) <= 60
    code = "\n".join(line for line in lines if line.startswith("  "))
    async with LocalQueue() as queue:
        queue.handle(HANDLER, handle)
        names: Dict[str, Any] = {"AsyncClient": lambda: AsyncClient(queue.url)}
        exec(f"async def main():\n{textwrap.indent(code, '  ')}", names)
        await names["main"]()
    said = capsys.readouterr().out.strip()
    assert code.endswith(f"# {said}")


def test_the_next_step_names_the_python_at_hand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the environment is not active, its Python is named by its path, in 60 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.executable", str(tmp_path / ".venv" / "bin" / "python"))
    line = demo_story.next_step().splitlines()[0]
    assert line == "Next, in the clone: .venv/bin/python examples/hello_async.py"
    assert len(line) <= 60
    monkeypatch.setattr("sys.executable", "/usr/bin/python3")
    assert "clone: python examples" in demo_story.next_step()


@pytest.mark.parametrize(
    ("rows", "worker", "line"),
    [
        ([], True, "stopped before the jobs were submitted"),
        ([Progress(JOB)], True, "stopped; 0 of 1 jobs had ended"),
        (
            [Progress(JOB), Progress(JOB, taken_back=True)],
            False,
            "stopped; 0 of 2 jobs had ended; 1 job was deleted, 1 is left in the queue",
        ),
        ([Progress(**ended(JOB, COMPLETED))], False, "stopped; 1 of 1 jobs had ended"),
    ],
)
def test_ctrl_c_says_what_had_ended(rows: List[Progress], worker: bool, line: str) -> None:
    """After Ctrl-C the demo says how far it came, and what becomes of the jobs."""
    assert demo_story.stopped(rows, worker=worker) == line


def test_one_job_that_was_taken_means_that_somebody_works() -> None:
    """That nobody works is said only where no job was taken."""
    waits = Progress(JOB, where="queued")
    assert demo_story.nobody_works([waits, Progress(JOB, where="taken")], 15) is None
    assert "no worker took a job in 15 s" in str(demo_story.nobody_works([waits], 15))
