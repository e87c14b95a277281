"""Takes all file descriptors for a while, in the act that its first argument names."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import time
from typing import IO, Any, Callable, Dict, Iterator, List

from bananas import AsyncClient, Client
from bananas import exceptions as exc
from tests.faults.timing import eventually
from tests.faults.worker import finish
from tests.support import RawClient

_LIMIT = 64


@contextlib.contextmanager
def starving() -> Iterator[Callable[[], bool]]:
    """Leave no descriptor free; call what is given to take those that have become free."""
    held: List[IO[Any]] = []

    def take() -> bool:
        before = len(held)
        with contextlib.suppress(OSError):
            while True:
                held.append(open("/dev/null"))  # noqa: SIM115
        return len(held) > before

    take()
    try:
        yield take
    finally:
        while held:
            held.pop().close()


def kill(redis: RawClient, kind: str) -> None:
    """End the client's connections of a kind."""
    redis.command("CLIENT", "KILL", "TYPE", kind)


async def listener(url: str, redis: RawClient) -> None:
    """The connection of all waits is lost meanwhile."""
    async with AsyncClient(url, safety_interval=20) as client:
        wait = asyncio.ensure_future(client.wait_for_result("first", 30))
        await eventually(lambda: client.stats().listening, "the listener")
        with starving() as take:
            kill(redis, "pubsub")
            for _ in range(50):
                take()
                await asyncio.sleep(0.01)
            assert not client.stats().listening
        await eventually(lambda: client.stats().listening, "the listener again")
        await eventually(lambda: redis.command("PUBSUB", "CHANNELS"), "a subscription")
        finish(redis, ["first"])
        assert (await wait).get_result() == "first"


async def pipeline(url: str, redis: RawClient) -> None:
    """The connection of submits and reads is lost meanwhile."""
    async with AsyncClient(url) as client:
        await client.submit_job("work", None)
        with starving() as take:
            kill(redis, "normal")
            await eventually(take, "the descriptor of the lost connection")
            for call in (client.connect, lambda: client.submit_job("work", None)):
                try:
                    await call()
                except exc.ConnectionError as error:
                    assert not error.permanent
                    assert "too many open files" in str(error), error
                else:
                    raise AssertionError("there was a descriptor")
            waiting = asyncio.ensure_future(client.submit_job("work", None))
            await asyncio.sleep(0.2)
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


def refused_without_connection(client: Client, redis: RawClient, take: Callable[[], bool]) -> bool:
    """Lose the connection, and tell whether there was no descriptor for a new one.

    There may be one: what was lost before is closed by another thread, in its own time.
    """
    kill(redis, "normal")
    deadline = time.monotonic() + 20
    while client.stats().connected:
        assert time.monotonic() < deadline
    take()
    try:
        client.submit_job("work", None)
    except exc.ConnectionError as error:
        assert "too many open files" in str(error)
        return True
    return False


def blocking(url: str, redis: RawClient) -> None:
    """A blocking client loses its connection."""
    with Client(url) as client:
        for _ in range(10):
            client.submit_job("work", None)
        with starving() as take:
            assert any(refused_without_connection(client, redis, take) for _ in range(20))
        assert client.get_job(client.submit_job("work", None)) is not None


ACTS: Dict[str, Callable[[str, RawClient], Any]] = {
    "listener": lambda url, redis: asyncio.run(listener(url, redis)),
    "pipeline": lambda url, redis: asyncio.run(pipeline(url, redis)),
    "first client": first_client,
    "blocking": blocking,
}


def main(act: str, url: str, port: int) -> None:
    """Do it."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (_LIMIT, _LIMIT))
    with RawClient(port) as redis:
        ACTS[act](url, redis)
    print("well")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
