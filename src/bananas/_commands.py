"""The commands of the command line."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from typing import Any, Coroutine, List, NoReturn, Optional, TypeVar

import typer
from rich.console import Console

from ._demo import run_demo
from ._demo_view import View, outcomes, summary
from ._version import __version__
from .exceptions import BananasError

__all__ = ["app"]

T = TypeVar("T")

_WIDTH_OF_FILES = 120
_INTERRUPTED = 130

_DEMO = """Send jobs of every kind through the queue, and show what happens to each.

Without options nothing but Python is needed: a small Redis and a worker run inside this process.
The jobs have all three priorities; one is scheduled, one fails and succeeds on its retry, one fails
for good, and one is handled by nobody.

Ends with status 0 if every job ended as it should, 1 if not, 130 after Ctrl-C."""

app = typer.Typer(
    name="bananas",
    help="Submit jobs to the Bananas task queue and see what becomes of them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    # A traceback with the values of variables in it would show passwords.
    pretty_exceptions_enable=False,
)


def _paragraphs(text: str) -> str:
    """Return a text with one line for each paragraph: typer breaks lines itself."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bananas {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False,
        "--version",
        help="Print the version and exit.",
        callback=_print_version,
        is_eager=True,
    ),
) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a worker says may hold characters that this terminal can't show.
            stream.reconfigure(errors="replace")


@app.command(help=_paragraphs(_DEMO))
def demo(
    redis: Optional[str] = typer.Option(
        None,
        "--redis",
        metavar="URL",
        help="Run on this Redis, not on one inside the process. The demo's keys start with "
        "[b]bananas:demo-[/b], touch no other job, and are deleted in the end.",
    ),
    no_worker: bool = typer.Option(
        False,
        "--no-worker",
        help="Leave the jobs to the Go workers of the Redis that [b]--redis[/b] names. They go to "
        "the queue itself, need a handler named [b]demo[/b], and leave two dead letters.",
    ),
    timeout: float = typer.Option(
        15.0, "--timeout", min=0.0, metavar="SECONDS", help="Wait no longer than this."
    ),
) -> None:
    if no_worker and redis is None:
        raise typer.BadParameter("it needs --redis, to say where the workers are")
    console = _console()
    rows = _demo_rows(console, redis, worker=not no_worker, timeout=timeout)
    console.print(outcomes(rows))
    console.print(summary(rows), soft_wrap=True)
    if any(row.problems for row in rows):
        raise typer.Exit(1)


def _demo_rows(console: Console, redis: Optional[str], *, worker: bool, timeout: float) -> Any:
    """Run the demo, show how it goes, and return what became of each job."""
    with View(console, embedded=redis is None, emulated=worker) as view:
        try:
            work = run_demo(
                redis, worker=worker, timeout=timeout, started=view.started, show=view.show
            )
            return _run(work)
        except (BananasError, ValueError) as error:
            view.close()
            _fail(str(error).replace("redis_url", "--redis", 1))
        except ImportError:
            view.close()
            _fail(
                "without --redis this needs the package fakeredis; install it with: "
                'python -m pip install "bananas-queue[demo]"'
            )


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_FILES
    return console


def _fail(message: str) -> NoReturn:
    typer.echo(f"bananas: {message}", err=True)
    raise typer.Exit(1)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; Ctrl-C cancels it, lets it clean up, and ends the program."""
    done = asyncio.run(_interruptible(work))
    if not done:
        raise typer.Exit(_INTERRUPTED)
    return done[0]


async def _interruptible(work: Coroutine[Any, Any, T]) -> List[T]:
    """Return what a coroutine returns, in a list; an empty one after Ctrl-C.

    A KeyboardInterrupt would strike in the middle of whatever callback is running.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    try:
        loop.add_signal_handler(signal.SIGINT, task.cancel)
    except (NotImplementedError, RuntimeError, ValueError):
        # Windows, or not the main thread: there it is a KeyboardInterrupt after all.
        return [await task]
    try:
        return [await task]
    except asyncio.CancelledError:
        return []
    finally:
        loop.remove_signal_handler(signal.SIGINT)
