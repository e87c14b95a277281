"""Forks again and again in the state that its first argument names; parent and child both go on."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
import uuid
import warnings
from typing import Callable, List, Mapping, NoReturn, Optional

from bananas import Client
from tests.faults.worker import finish
from tests.support import RawClient

#: It ends a hang, in seconds, and expects nothing of a slow machine.
_LIMIT = 100.0

#: The client, until the process ends.
CLIENTS: List[Client] = []


def work(client: Client, redis: RawClient) -> None:
    """Submit, read and wait, with nobody's help but a worker's."""
    job_id = client.submit_job("work", {"pid": os.getpid()})
    job = client.get_job(job_id)
    assert job is not None
    assert job.payload == {"pid": os.getpid()}
    finish(redis, [job_id])
    assert client.wait_for_result(job_id, _LIMIT).get_result() == job_id
    assert client.explain(job_id).name == "work"


# In which state the parent is.


class Idle:
    """Nothing is under way."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def start(self) -> None:
        """Enter the state."""

    def end(self, redis: RawClient) -> None:
        """Leave it, and check that it was not disturbed."""


class Busy(Idle):
    """Threads submit, read and explain, and others wait."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.failures: List[BaseException] = []
        self._ending = threading.Event()
        self._awaited = [str(uuid.uuid4()) for _ in range(4)]
        self._threads = [threading.Thread(target=self._guard, args=(self._submit,))]
        self._threads += [
            threading.Thread(target=self._guard, args=(self._wait, job_id))
            for job_id in self._awaited
        ]

    def _guard(self, target: Callable[..., None], *args: str) -> None:
        try:
            target(*args)
        except BaseException as error:
            self.failures.append(error)

    def _submit(self) -> None:
        while not self._ending.is_set():
            job_id = self.client.submit_job("work", None)
            job = self.client.get_job(job_id)
            assert job is not None
            assert job.id == job_id
            assert self.client.explain(job_id).name == "work"

    def _wait(self, job_id: str) -> None:
        assert self.client.wait_for_result(job_id, _LIMIT).get_result() == job_id

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + _LIMIT
        while self.client.stats().waits < len(self._awaited):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def end(self, redis: RawClient) -> None:
        finish(redis, self._awaited)
        self._ending.set()
        for thread in self._threads:
            thread.join(_LIMIT)
            assert not thread.is_alive()
        assert self.failures == []


class Pool(Idle):
    """As many blocking connections are free as threads have been submitting."""

    def start(self) -> None:
        threads = [threading.Thread(target=self._submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_LIMIT)
            assert not thread.is_alive()

    def _submit(self) -> None:
        for _ in range(20):
            self.client.submit_job("work", None)


class Submitting(Idle):
    """Threads are submitting, each on a blocking connection."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._ids: List[str] = []
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._submit) for _ in range(2)]

    def _submit(self) -> None:
        while not self._ending.is_set():
            self._ids.append(self.client.submit_job("work", None))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        while not self._ids:
            pass

    def end(self, redis: RawClient) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(_LIMIT)
            assert not thread.is_alive()
        assert None not in self.client.get_jobs(self._ids)


class Starting(Idle):
    """Other threads make and close clients all the time."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._make) for _ in range(2)]

    def _make(self) -> None:
        while not self._ending.is_set():
            Client(sys.argv[2]).close()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self, redis: RawClient) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(_LIMIT)
            assert not thread.is_alive()


# What the child does.


def use(clients: List[Client], redis: RawClient) -> NoReturn:
    """Work with the inherited client, and with one of its own."""
    work(clients[0], redis)
    with Client(sys.argv[2]) as client:
        work(client, redis)
    work(clients[0], redis)
    sys.exit(0)


def close(clients: List[Client], redis: RawClient) -> NoReturn:
    """Close the inherited client."""
    clients[0].close()
    sys.exit(0)


def drop(clients: List[Client], redis: RawClient) -> NoReturn:
    """Forget the inherited client, used before or not, and collect what is left of it."""
    clients.clear()
    gc.collect()
    sys.exit(0)


def use_and_drop(clients: List[Client], redis: RawClient) -> NoReturn:
    """Forget the inherited client while its new connections are open."""
    work(clients[0], redis)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clients.clear()
        gc.collect()
    # The threads of the parent, which have no counterpart here, may refer to it for good.
    assert {warning.category for warning in caught} <= {ResourceWarning}
    sys.exit(0)


def leave(clients: List[Client], redis: RawClient) -> NoReturn:
    """End as any program does."""
    sys.exit(0)


def vanish(clients: List[Client], redis: RawClient) -> NoReturn:
    """End at once."""
    os._exit(0)


STATES = {state.__name__: state for state in (Idle, Busy, Pool, Submitting, Starting)}
ACTS: Mapping[str, Callable[[List[Client], RawClient], NoReturn]] = {
    act.__name__: act for act in (use, close, drop, use_and_drop, leave, vanish)
}


def how_ended(pid: int) -> str:
    """Wait for a child, and return what went wrong with it; nothing if it ended well.

    One that hangs is made to abort, with which ``-X faulthandler`` shows the stack of each thread.
    """
    status = _status(pid, _LIMIT)
    if status is None:
        os.kill(pid, signal.SIGABRT)
        if _status(pid, 10.0) is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return f": the child was still there after {_LIMIT:.0f} s"
    if os.WIFSIGNALED(status):
        return f": the child was ended by signal {os.WTERMSIG(status)}"
    return f": the child ended with status {os.WEXITSTATUS(status)}" if status else ""


def _status(pid: int, limit: float) -> Optional[int]:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(0.005)
    return None


def main(state_name: str, url: str, port: int) -> None:
    """Fork once for each act."""
    clients = CLIENTS
    clients.append(Client(url))
    with RawClient(port) as redis:
        work(clients[0], redis)
        for name, act in ACTS.items():
            state = STATES[state_name](clients[0])
            state.start()
            pid = os.fork()
            if pid == 0:
                del state
                with RawClient(port) as own:
                    act(clients, own)
            trouble = how_ended(pid)
            state.end(redis)
            work(clients[0], redis)
            print(name + trouble, flush=True)
        stats = clients[0].stats()
        assert stats.reconnects == 0
        clients[0].close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
