"""RealBroker: a database of a real Redis that tests may use as their own."""

from __future__ import annotations

from types import TracebackType
from typing import List, Optional, Type, TypeVar
from urllib.parse import urlsplit, urlunsplit

from .._blocking import LoopThread
from .._wire import Keys
from ._wire import Wire, emulator_settings

__all__ = ["RealBroker", "database_of"]

Self = TypeVar("Self", bound="RealBroker")

_SOME = 500


class RealBroker:
    """The value of ``bananas_broker`` if the tests run on a real Redis.

    ``start`` refuses a database with jobs that are not from tests, and marks the database as one
    for tests. Only keys of the queue are deleted.

    Args:
        redis_url: The Redis, with the database.

    Raises:
        ValueError: The URL is not valid.
    """

    def __init__(self, redis_url: str) -> None:
        self.url = redis_url
        self._wire = Wire(emulator_settings(redis_url, "bananas:"))
        self._keys = Keys()
        self._thread: Optional[LoopThread] = None

    def __repr__(self) -> str:
        return "<RealBroker>"

    def start(self: Self) -> Self:
        """Check and mark the database.

        Raises:
            RuntimeError: The database contains jobs that are not from tests.
            ConnectionError: Redis can't be reached.
        """
        if self._thread is None:
            self._thread = LoopThread()
            self._thread.start()
            try:
                self._thread.run(self._claim())
            except BaseException:
                self.stop()
                raise
        return self

    def stop(self) -> None:
        """Close the connection."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.run(self._wire.close())
            thread.stop()

    def clear(self) -> None:
        """Delete all keys of the queue in this database."""
        if self._thread is None:
            raise RuntimeError("the broker is not running: call start()")
        self._thread.run(self._clear())

    async def _claim(self) -> None:
        [marked] = await self._wire.call(("EXISTS", self._keys.of_tests))
        if not marked and await self._names():
            raise RuntimeError(
                "the database of bananas_redis_url has jobs that are not from tests: use a Redis, "
                "or one of its databases, only for tests"
            )
        await self._wire.call(("SET", self._keys.of_tests, "1"))

    async def _clear(self) -> None:
        names = await self._names()
        for start in range(0, len(names), _SOME):
            await self._wire.call(("DEL", *names[start : start + _SOME]))

    async def _names(self) -> List[bytes]:
        cursor, names = b"0", set()
        while True:
            [(cursor, some)] = await self._wire.call(
                ("SCAN", cursor, "MATCH", self._keys.everything, "COUNT", 1000)
            )
            names.update(some)
            if int(cursor) == 0:
                return sorted(names - {self._keys.of_tests})

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()


def database_of(redis_url: str, worker: str) -> str:
    """Return the URL of a database of its own for each process of pytest-xdist.

    Args:
        redis_url: The URL; its database is that of the first process.
        worker: What xdist calls this process: ``gw0``, ``gw1``, ...; ``master`` without xdist.
    """
    number = int(worker[2:]) if worker[:2] == "gw" and worker[2:].isdigit() else 0
    if not number:
        return redis_url
    parts = urlsplit(redis_url)
    if parts.scheme == "unix" or "db=" in parts.query:
        options = [option for option in parts.query.split("&") if option]
        first = next((int(option[3:]) for option in options if option[:3] == "db="), 0)
        options = [option for option in options if option[:3] != "db="]
        return f"{redis_url.split('?')[0]}?{'&'.join([*options, f'db={first + number}'])}"
    first = int(parts.path.strip("/") or 0)
    return urlunsplit(parts._replace(path=f"/{first + number}"))
