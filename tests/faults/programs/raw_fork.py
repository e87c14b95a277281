"""Forks without any of Python's hooks, as uWSGI does, in the state that its argument names."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from typing import Callable, Dict, List

from bananas import Client
from tests.faults.programs.forking import ended_well, work
from tests.support import RawClient

State = Callable[[Client], None]


def idle(client: Client) -> None:
    """Nothing is under way."""


def lines(client: Client) -> None:
    """Two lines are free."""
    found = client._connections.here.lines
    while found.open_lines < 2:
        threads = [threading.Thread(target=client.submit_job, args=("work", None)) for _ in "123"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)


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
            thread.join(20)
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


STATES: Dict[str, State] = {"idle": idle, "lines": lines}
ACTS = {act.__name__: act for act in (use, make, close, drop, leave)}


def main(state: str, url: str, port: int) -> None:
    """Fork once for each act."""
    fork = ctypes.PyDLL(None).fork
    clients = [Client(url)]
    with RawClient(port) as redis:
        work(clients[0], redis)
        for name, act in ACTS.items():
            STATES[state](clients[0])
            pid = fork()
            if pid == 0:
                act(clients, url, port)
                sys.exit(0)
            well = ended_well(pid)
            work(clients[0], redis)
            print(name if well else f"{name}: the child has not ended well", flush=True)
        stats = clients[0].stats()
        assert stats.reconnects == 0
        clients[0].close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
