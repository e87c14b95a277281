"""The command line: what it says, and the status that it ends with."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import Dict, List, Tuple

import pytest

import bananas
from bananas import Job, cli
from bananas.cli.demo_jobs import HANDLER, handle
from bananas.cli.running import interruptible
from bananas.testing import LocalQueue
from tests.behaviour.broker import Broker
from tests.behaviour.command_line import Bananas, Done, bananas_command
from tests.behaviour.programs import ROOT, environment, python, run
from tests.support import Child
from tests.support.ports import free_port

# A bound for a test that hangs, not an expectation.
_PATIENCE = 120
__all__ = ["bananas_command"]

_TITLES = (
    "high priority",
    "normal priority",
    "low priority",
    "due in 2 s",
    "fails once",
    "always fails",
    "no handler",
)


def _without(*packages: str) -> List[str]:
    """Return arguments for a Python that can't import some packages, and runs the command line."""
    program = (
        "import sys\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {packages!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Blocker())\n"
        "import bananas\n"
        "from bananas.cli import main\n"
        "main()\n"
    )
    return ["-c", program]


# -- the demo ------------------------------------------------------------------------------------


def test_the_demo_needs_nothing_but_python() -> None:
    """`python -m bananas demo` shows what happens to each job, and ends with status 0."""
    done = run("-m", "bananas", "demo")
    assert (done.stderr, done.returncode) == ("", 0)
    story, _, code = done.stdout.partition("7 of 7 jobs ended as planned")
    assert [title for title in _TITLES if title not in story] == []
    assert story.count("done, returned ") == 5
    assert story.count("failed as planned: ") == 2
    assert story.count("failed: boom; retry in about 2 s") == 2
    assert "await client.submit_job(" in code
    assert max(map(len, done.stdout.splitlines())) <= 60


def test_the_demo_on_a_given_redis_touches_nothing_else(
    real_broker: Broker, bananas_command: Bananas
) -> None:
    """Jobs and dead letters of others stay as they are, and nothing of the demo stays."""
    with bananas.Client(real_broker.url) as client:
        client.submit_job("other", {}, bananas.JobPriority.HIGH)
        # Due at once: whoever schedules for others would move it.
        client.submit_job_scheduled("other", {}, bananas.JobPriority.LOW, timedelta(0))
    real_broker.command("LPUSH", "bananas:queue:dead", "a-dead-letter")
    before = _contents(real_broker)

    done = bananas_command("demo", "--redis", real_broker.url)

    assert (done.err, done.status) == ("", 0)
    assert "7 of 7 jobs ended as planned" in done.out
    assert _contents(real_broker) == before


def _contents(broker: Broker) -> Dict[str, bytes]:
    names = broker.keys()
    return {name: broker.command("DUMP", name) for name in names}


def test_the_demo_in_this_process(bananas_command: Bananas) -> None:
    """The demo works in a thread too, where it can't listen for Ctrl-C."""
    done = bananas_command("demo")
    assert (done.err, done.status) == ("", 0)
    assert "7 of 7 jobs ended as planned" in done.out


def test_other_workers_do_the_work(real_broker: Broker, bananas_command: Bananas) -> None:
    """With --no-worker the jobs go to the workers of the deployment."""
    with LocalQueue(real_broker.url) as workers:
        workers.handle(HANDLER, handle)
        done = bananas_command("demo", "--redis", real_broker.url, "--no-worker")
    assert (done.err, done.status) == ("", 0)
    assert "7 of 7 jobs ended as planned" in done.out
    assert len(real_broker.queued("queue:dead")) == 2


def test_workers_need_not_return_data(real_broker: Broker, bananas_command: Bananas) -> None:
    """With --no-worker a handler without data is as good, as a plain Go handler is."""

    async def handle_silently(job: Job) -> None:
        await handle(job)

    with LocalQueue(real_broker.url) as workers:
        workers.handle(HANDLER, handle_silently)
        done = bananas_command("demo", "--redis", real_broker.url, "--no-worker")
    assert (done.err, done.status) == ("", 0)


def test_an_unexpected_outcome_is_a_failure(real_broker: Broker, bananas_command: Bananas) -> None:
    """A worker that does something else makes the demo say what, and end with status 1."""
    with LocalQueue(real_broker.url) as workers:
        workers.handle(HANDLER, lambda job: "always well")
        done = bananas_command("demo", "--redis", real_broker.url, "--no-worker")
    assert (done.err, done.status) == ("", 1)
    assert "fails once: 0 attempts failed, not 1" in done.out
    assert "always fails: it must have failed, not completed" in done.out
    assert "5 of 7 jobs ended as planned" in done.out
    assert "The code" not in done.out


def test_without_workers_the_demo_says_so_in_one_line(
    real_broker: Broker, bananas_command: Bananas
) -> None:
    """Where nobody works, the demo takes back what is queued, says so, and has status 1."""
    done = bananas_command("demo", "--redis", real_broker.url, "--no-worker", "--timeout", "0.5")
    assert (done.status, done.err) == (
        1,
        "bananas: no worker took a job in 0.5 s: is a Go worker running there? "
        "6 jobs were deleted, 1 is left in the queue\n",
    )
    # The scheduled job is the scheduler's.
    left = real_broker.keys()
    assert len(left) == 2
    assert left[0].startswith("bananas:job:")
    assert left[1] == "bananas:queue:scheduled"


# -- what can go wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--no-worker",)])
def test_an_unreachable_redis_is_one_line(
    options: Tuple[str, ...], bananas_command: Bananas
) -> None:
    """A Redis that can't be reached is one clear line on stderr, and status 1."""
    url = f"redis://user:secret@127.0.0.1:{free_port()}/0"
    done = bananas_command("demo", "--redis", url, *options)
    shown = url.replace("user:secret@", "")
    assert done == (1, "", f"bananas: can't reach Redis at {shown}: connection refused\n")


def test_an_unreachable_redis_is_one_line_in_a_process_too() -> None:
    """Nothing but the one line is said, not even as the interpreter ends."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    done = run("-m", "bananas", "demo", "--redis", url)
    line = f"bananas: can't reach Redis at {url}: connection refused\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_a_refused_password_is_one_line(real_broker: Broker, bananas_command: Bananas) -> None:
    """Credentials that Redis refuses are one line without the password, and status 1."""
    url = real_broker.url.replace("redis://", "redis://user:secret@")
    done = bananas_command("demo", "--redis", url)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "refuses the user name or password" in done.err
    assert "secret" not in done.err


def test_a_wrong_url_is_one_line(bananas_command: Bananas) -> None:
    """A URL that is none is one line that names the option, and status 2."""
    done = bananas_command("demo", "--redis", "http://localhost")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "bananas: --redis must start with redis://, rediss:// or unix://, "
        "such as redis://localhost:6379\n"
    )


def test_no_worker_needs_a_redis(bananas_command: Bananas) -> None:
    """--no-worker without --redis is a wrong command line: status 2."""
    done = bananas_command("demo", "--no-worker")
    assert (done.status, done.out) == (2, "")
    assert "--redis" in done.err


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_the_command_line_names_its_extra(package: str) -> None:
    """Without what the command line needs, it says in one line how to install that."""
    done = run(*_without(package), "status", "some-id")
    line = (
        f"bananas: the command line needs the package {package}; "
        'install it with: python -m pip install "bananas-queue[cli]" '
        '(in a clone: python -m pip install ".[cli]")\n'
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_the_demo_names_its_extra() -> None:
    """Without fakeredis, the demo says in one line how to install it."""
    done = run(*_without("fakeredis"), "demo")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "bananas: without --redis, the demo needs the package fakeredis; "
        'install it with: python -m pip install "bananas-queue[demo]" '
        '(in a clone: python -m pip install ".[demo]")\n'
    )


def test_a_missing_extra_in_this_process(
    monkeypatch: pytest.MonkeyPatch, bananas_command: Bananas
) -> None:
    """The same is said where the package was imported long before."""
    monkeypatch.setitem(sys.modules, "fakeredis", None)
    assert "bananas-queue[demo]" in bananas_command("demo").err
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "bananas.cli.app")
    assert "bananas-queue[cli]" in bananas_command("depths").err
    assert "bananas-queue[demo]" in bananas_command("demo").err  # not [cli], and [demo] after that


def test_a_defect_of_ours_is_not_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the package itself that is missing is raised as it is."""
    monkeypatch.setitem(sys.modules, "bananas.cli.app", None)
    with pytest.raises(ModuleNotFoundError, match=r"bananas\.cli\.app"):
        cli.main()


# -- Ctrl-C --------------------------------------------------------------------------------------


def _interrupted(*arguments: str) -> Done:
    """Run the demo, and press Ctrl-C while a job waits for its retry."""
    command = python("-X", "faulthandler", "-m", "bananas", "demo", *arguments)
    with Child(command, cwd=ROOT, env=environment()) as child:
        while "retry in about" not in child.output:
            assert child.line(_PATIENCE), child.output + child.errors
        child.process.send_signal(signal.SIGINT)
        return Done(child.end(_PATIENCE), child.output, child.errors)


def test_ctrl_c_ends_the_demo() -> None:
    """Ctrl-C ends the demo at once, with status 130 and a line about how far it came."""
    done = _interrupted()
    assert done.status == 130
    assert re.fullmatch(r"bananas: stopped; [0-6] of 7 jobs had ended\n", done.err)
    assert "ended as planned" not in done.out


def test_ctrl_c_leaves_nothing_behind(real_broker: Broker) -> None:
    """After Ctrl-C nothing of the demo is left on the Redis that it used."""
    done = _interrupted("--redis", real_broker.url)
    assert done.status == 130
    assert real_broker.keys() == []


def test_ctrl_c_during_the_start_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyboardInterrupt from anywhere ends the command line with status 130."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bananas.cli.app.app", interrupt)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130


async def test_what_is_interrupted_may_clean_up() -> None:
    """Ctrl-C cancels what runs, which ends in its own way; then Ctrl-C is as it was."""
    ended = []

    async def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    assert await interruptible(work()) == []
    assert ended == ["cleaned up"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def test_what_is_not_interrupted_returns() -> None:
    """Without Ctrl-C the outcome comes through."""
    assert await interruptible(asyncio.sleep(0, "done")) == ["done"]


# -- how it looks --------------------------------------------------------------------------------


def _on_a_terminal(**variables: str) -> str:
    """Return what the demo writes to a terminal."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        python("-m", "bananas", "demo"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm-256color", LINES="50", **variables),
        cwd=str(ROOT),
    )
    try:
        os.close(theirs)
        said = _read_to_the_end(ours)
        assert process.wait(_PATIENCE) == 0
    finally:
        process.kill()
        process.wait(_PATIENCE)
        os.close(ours)
    return said.decode()


def _read_to_the_end(terminal: int) -> bytes:
    """Return what is written to a terminal until its other end is closed."""
    said = b""
    deadline = time.monotonic() + _PATIENCE
    while True:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no end after {_PATIENCE} s of {said.decode(errors='replace')}"
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux says so that the terminal's other end is closed
            return said
        if not data:
            return said
        said += data


def test_a_terminal_keeps_the_story() -> None:
    """On a terminal each line stays, in colour, and only the sum below them changes in place."""
    said = _on_a_terminal(COLUMNS="60")
    erased = said.split("\x1b[2K")
    assert len(erased) > 5
    assert "\x1b[32mdone, returned" in said
    assert "\x1b[31m" not in said  # red is for what is not as planned
    assert said.count("7 of 7 jobs ended as planned") == 1
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in re.split(r"[\r\n]", said)]
    assert max(map(len, lines)) <= 60


def test_no_color_means_no_colour() -> None:
    """With NO_COLOR no colour is used; what is said is the same."""
    said = _on_a_terminal(NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", said)
    assert "7 of 7 jobs ended as planned" in said


def test_what_is_no_terminal_gets_plain_lines() -> None:
    """In a file there is no control character, on whatever terminal the program runs."""
    variables: Dict[str, str] = {"TERM": "xterm-256color", "PYTHONIOENCODING": "ascii"}
    done = run("-m", "bananas", "demo", **variables)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout


def test_the_version_is_printed(bananas_command: Bananas) -> None:
    """--version prints the package's version."""
    assert bananas_command("--version") == (0, f"bananas {bananas.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["demo", "--version"]),
        (["demo", "--help"], ["--redis", "--no-worker  ", "--timeout", "15.0"]),
        (["dead", "list", "--help"], ["--limit", "--all  ", "--json  "]),
    ],
)
def test_help_is_at_hand(arguments: List[str], words: List[str], bananas_command: Bananas) -> None:
    """--help tells of every command and option."""
    done = bananas_command(*arguments)
    assert (done.status, done.err) == (0, "")
    for word in words:
        assert word in done.out
    assert "<bool>" not in done.out
    assert "--no-no-" not in done.out
