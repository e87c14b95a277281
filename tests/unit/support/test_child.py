"""A child that hangs or dies ends its test, with all that it said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import Child

# Its main thread dies of an error; another goes on and keeps standard output open.
HALF_DEAD = """
import sys, threading
threading.Thread(target=sys.stdin.read).start()
print("begun", flush=True)
raise RuntimeError("main thread lost")
"""
SILENT = "import sys; print('begun', flush=True); sys.stdin.read()"
DEAF = "import signal; print('begun', flush=True); signal.pause()"


def start(program: str) -> Child:
    return Child([sys.executable, "-X", "faulthandler", "-c", program], cwd=Path.cwd())


def test_lines_come_one_by_one_and_the_end_is_an_empty_one() -> None:
    """What was printed is read even after the end, and ``end`` returns the status."""
    with start("print(input()); print('two', flush=True); raise SystemExit(3)") as child:
        child.say("one")
        assert [child.line(), child.line(), child.line()] == ["one\n", "two\n", ""]
        assert child.end() == 3
        assert (child.output, child.errors) == ("one\ntwo\n", "")


def test_another_line_than_expected_shows_both_streams() -> None:
    """The error has what stands on standard error."""
    with start("import sys; sys.exit('no bananas left')") as child:
        with pytest.raises(AssertionError, match="no bananas left"):
            child.expect("done")


@pytest.mark.parametrize("program", [HALF_DEAD, SILENT], ids=["half dead", "silent"])
def test_a_line_that_never_comes_is_an_error_with_every_stack(program: str) -> None:
    """A program whose threads live on after its main thread died does not hang its test."""
    with start(program) as child:
        child.expect("begun")
        with pytest.raises(AssertionError, match=r"waited 0\.2 s in vain for a line") as caught:
            child.line(0.2)
        assert "Current thread" in str(caught.value) or "Thread 0x" in str(caught.value)
        assert ("main thread lost" in str(caught.value)) == (program is HALF_DEAD)
        assert child.process.poll() is not None


def test_an_end_that_never_comes_is_an_error() -> None:
    """A program that goes on is ended, and shown."""
    with start(DEAF) as child:
        child.expect("begun")
        with pytest.raises(AssertionError, match=r"waited 0\.2 s in vain for its end"):
            child.end(0.2)
        assert child.process.poll() is not None


def test_leaving_the_block_ends_the_child() -> None:
    """Whether or not it has ended by itself."""
    with start(SILENT) as child:
        child.expect("begun")
    assert child.process.returncode is not None
