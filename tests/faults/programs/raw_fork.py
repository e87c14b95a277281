"""Forks without any of Python's hooks, as uWSGI does, in the state that its argument names."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import threading
from typing import Callable, Dict, Iterator, List

from bananas import Client
from bananas._blocking.loop_thread import running_loop_thread
from tests.faults.programs.forking import how_ended, work
from tests.support import RawClient

State = Callable[[Client], None]
_LIMIT = 100.0
_NEVER = 1000.0


def idle(client: Client) -> None:
    """Nothing is under way."""


def pool(client: Client) -> None:
    """Two blocking connections are free."""
    found = client._connections.here.pool
    while found.open_connections < 2:
        threads = [threading.Thread(target=client.submit_job, args=("work", None)) for _ in "123"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_LIMIT)


def use(clients: List[Client], url: str, port: int) -> None:
    """Work with the inherited client, from several threads at once, and with one of its own."""
    with RawClient(port) as redis:
        failures: List[BaseException] = []

        def submit() -> None:
            try:
                for _ in range(10):
                    clients[0].submit_job("work", None)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_LIMIT)
        assert failures == []
        work(clients[0], redis)
        with Client(url) as client:
            work(client, redis)


def make(clients: List[Client], url: str, port: int) -> None:
    """Leave the inherited client alone, and make another one."""
    with RawClient(port) as redis, Client(url) as client:
        work(client, redis)


def close(clients: List[Client], url: str, port: int) -> None:
    """Close the inherited client."""
    clients[0].close()


def drop(clients: List[Client], url: str, port: int) -> None:
    """Forget the inherited client."""
    clients.clear()
    gc.collect()


def leave(clients: List[Client], url: str, port: int) -> None:
    """Do nothing, and end."""


STATES: Dict[str, State] = {"idle": idle, "pool": pool}
ACTS = {act.__name__: act for act in (use, make, close, drop, leave)}


@contextlib.contextmanager
def others_at_rest() -> Iterator[None]:
    """Have no other thread wait for the interpreter's lock meanwhile.

    A child that no hook tells of the fork inherits that lock as it is. Where a thread of the
    parent's waits for it, the child waits for this thread, which it does not have, for good.
    """
    loop_thread = running_loop_thread()
    assert loop_thread is not None
    for thread in threading.enumerate():
        if thread not in (threading.current_thread(), loop_thread.thread):
            thread.join(_LIMIT)
            assert not thread.is_alive()
    rests, goes_on = threading.Lock(), threading.Lock()
    rests.acquire()
    goes_on.acquire()

    def rest() -> None:
        # The lock of the interpreter changes hands in the second step alone, not between the two.
        rests.release()
        goes_on.acquire()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(_NEVER)
    try:
        loop_thread.loop.call_soon_threadsafe(rest)
        assert rests.acquire(timeout=_LIMIT)
        yield
    finally:
        sys.setswitchinterval(interval)
        goes_on.release()


def main(state: str, url: str, port: int) -> None:
    """Fork once for each act."""
    fork = ctypes.PyDLL(None).fork
    clients = [Client(url)]
    with RawClient(port) as redis:
        work(clients[0], redis)
        for name, act in ACTS.items():
            STATES[state](clients[0])
            with others_at_rest():
                pid = fork()
            if pid == 0:
                act(clients, url, port)
                sys.exit(0)
            trouble = how_ended(pid)
            work(clients[0], redis)
            print(name + trouble, flush=True)
        stats = clients[0].stats()
        assert stats.reconnects == 0
        clients[0].close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
