"""Runs a command's work with a client: connects, and turns Ctrl-C and errors into a status."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Coroutine, Dict, List, Optional, TypeVar

import typer

from .. import exceptions as exc
from ..client import AsyncClient
from ..location import JobPlace
from .exit_status import INTERRUPTED, ask_why, end, say, status_of

__all__ = ["Target", "client_maker", "interruptible", "run", "run_or_end"]

T = TypeVar("T")

#: Makes the client of a command that is given no URL: another program's settings may say how.
client_maker: ContextVar[Callable[..., AsyncClient]] = ContextVar(
    "client_maker", default=AsyncClient
)


#: What the command line calls the argument that a message begins with.
_OPTIONS = {
    "idle_for": "--idle-for",
    "job_id": "ID",
    "key_prefix": "--key-prefix",
    "limit": "--limit",
    "max_retries": "--max-retries",
    "name": "NAME",
    "observe": "--observe",
    "older_than": "--older-than",
    "rate": "--rate",
    "taken_for": "--taken-for",
    "timeout": "--timeout",
}
_ARGUMENT = re.compile(rf"\A(?:{'|'.join(_OPTIONS)})(?= (?:contains|is too|must) )")


@dataclass(frozen=True)
class Target:
    """Which deployment a command works on.

    Attributes:
        redis: The URL; None is what the client takes from the environment.
        key_prefix: What every key starts with.
        routing_key: The route, where a command has one.
    """

    redis: Optional[str]
    key_prefix: str = "bananas:"
    routing_key: Optional[str] = None

    def client(self) -> AsyncClient:
        """Return a client, which has not connected yet.

        Where a URL is given, it is all that counts: the credentials of an application belong to
        its own servers.
        """
        settings: Dict[str, Any] = {"key_prefix": self.key_prefix}
        if self.routing_key is not None:
            settings["routing_key"] = self.routing_key
        if self.redis is None:
            return client_maker.get()(**settings)
        return AsyncClient(self.redis, **settings)


def run(
    target: Target,
    work: Callable[[AsyncClient], Awaitable[T]],
    *,
    interrupted: Callable[[], str] = lambda: "interrupted; nothing was changed",
) -> T:
    """Run a command's work, and end the command where it can't be done.

    Args:
        target: The deployment.
        work: Called with a connected client.
        interrupted: Says after Ctrl-C what was done, and how to go on.
    """

    async def connected() -> T:
        async with target.client() as client:
            return await work(client)

    return run_or_end(connected(), target=target, interrupted=interrupted)


def run_or_end(
    work: Coroutine[Any, Any, T], *, target: Target, interrupted: Callable[[], str]
) -> T:
    """Run a coroutine; Ctrl-C cancels it, lets it clean up, and ends the command."""
    try:
        done = asyncio.run(interruptible(work))
    except (exc.BananasError, ValueError) as error:
        end(status_of(error), _in_words_of_the_command(str(error), target) + _cause(error))
    except KeyboardInterrupt:
        done = []
    if not done:
        message = interrupted()
        if message:
            say(message)
        raise typer.Exit(INTERRUPTED)
    return done[0]


def _cause(error: Exception) -> str:
    """Return how to find out why a job has not ended in time, or nothing after another error."""
    if not isinstance(error, exc.TimeoutError) or error.job_id is None:
        return ""
    return "" if error.whereabouts in (None, JobPlace.CANCELLED) else ask_why(error.job_id)


def _in_words_of_the_command(message: str, target: Target) -> str:
    from_outside = target.redis is None and os.environ.get("BANANAS_REDIS_URL")
    name = "BANANAS_REDIS_URL" if from_outside else "--redis"
    message = message.replace("redis_url", name, 1).replace("routing_key", "--route", 1)
    message = message.replace(", or None", "", 1)
    message = _ARGUMENT.sub(lambda found: _OPTIONS[found[0]], message)
    return re.sub(r"\broutes='(flat|document)'", r"--routes \1", message)


async def interruptible(work: Coroutine[Any, Any, T]) -> List[T]:
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
