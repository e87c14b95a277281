"""Takes all file descriptors for a while, in the act that its first argument names."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import time
from typing import Any, Callable, Dict, Iterator, List, Tuple

from bananas import AsyncClient, Client
from bananas import exceptions as exc
from tests.faults.timing import eventually
from tests.faults.worker import finish
from tests.support import RawClient

#: Standard input, output and error, which are in use.
_STANDARD = 3


@contextlib.contextmanager
def starving() -> Iterator[None]:
    """Leave no descriptor free, not even one that is given back meanwhile."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The lowest that is free is given out, if it is below the limit; those in use are kept.
    resource.setrlimit(resource.RLIMIT_NOFILE, (_STANDARD, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)


def kill(redis: RawClient, kind: str) -> None:
    """End the client's connections of a kind."""
    redis.command("CLIENT", "KILL", "TYPE", kind)


#: What asked for a descriptor: redis-py opens a file, too, before it makes a socket.
attempts: List[str] = []


def note(event: str, arguments: Tuple[Any, ...]) -> None:
    """Note that a descriptor is asked for."""
    if event in ("open", "socket.__new__"):
        attempts.append(event)


async def listener(url: str, redis: RawClient) -> None:
    """The connection of all waits is lost meanwhile."""
    async with AsyncClient(url, safety_interval=20) as client:
        wait = asyncio.ensure_future(client.wait_for_result("first", 30))
        await eventually(lambda: redis.command("PUBSUB", "CHANNELS"), "the subscription")
        with starving():
            kill(redis, "pubsub")
            await eventually(lambda: not client.stats().listening, "the loss of the listener")
            before = len(attempts)
            await eventually(lambda: len(attempts) >= before + 3, "attempts to connect")
            assert not client.stats().listening
        await eventually(lambda: client.stats().listening, "the listener again")
        await eventually(lambda: redis.command("PUBSUB", "CHANNELS"), "the subscription again")
        finish(redis, ["first"])
        assert (await wait).get_result() == "first"


async def pipeline(url: str, redis: RawClient) -> None:
    """The connection of submits and reads is lost meanwhile."""
    async with AsyncClient(url) as client:
        await client.submit_job("work", None)
        with starving():
            kill(redis, "normal")
            await eventually(lambda: not client.stats().connected, "the loss of the connection")
            for call in (client.connect, lambda: client.submit_job("work", None)):
                try:
                    await call()
                except exc.ConnectionError as error:
                    assert not error.permanent
                    assert "too many open files" in str(error), error
                else:
                    raise AssertionError("there was a descriptor")
            before = len(attempts)
            waiting = asyncio.ensure_future(client.submit_job("work", None))
            await eventually(lambda: len(attempts) > before, "an attempt to connect")
        assert await client.get_job(await waiting) is not None


def first_client(url: str, redis: RawClient) -> None:
    """The first blocking client of the process is to be made."""
    with starving():
        for _ in range(2):
            try:
                Client(url)
            except exc.ConnectionError as error:
                assert "too many open files" in str(error)
            else:
                raise AssertionError("there was a descriptor")
    blocking(url, redis)


def blocking(url: str, redis: RawClient) -> None:
    """A blocking client loses its connection."""
    with Client(url) as client:
        for _ in range(10):
            client.submit_job("work", None)
        with starving():
            for _ in range(2):
                kill(redis, "normal")
                deadline = time.monotonic() + 20
                while client.stats().connected:
                    assert time.monotonic() < deadline
                try:
                    client.submit_job("work", None)
                except exc.ConnectionError as error:
                    assert "too many open files" in str(error)
                else:
                    raise AssertionError("there was a descriptor")
        assert client.get_job(client.submit_job("work", None)) is not None


ACTS: Dict[str, Callable[[str, RawClient], Any]] = {
    "listener": lambda url, redis: asyncio.run(listener(url, redis)),
    "pipeline": lambda url, redis: asyncio.run(pipeline(url, redis)),
    "first client": first_client,
    "blocking": blocking,
}


def main(act: str, url: str, port: int) -> None:
    """Do it."""
    sys.addaudithook(note)
    with RawClient(port) as redis:
        ACTS[act](url, redis)
    print("well")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
