"""Ends without closing its client, in the way that its first argument names."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from typing import Callable, Dict, Iterator, List, NoReturn

from bananas import Client
from bananas import exceptions as exc

# A client that is forgotten while the program runs is warned of, and that is another matter.
_clients: List[Client] = []
_generators: List[Iterator[object]] = []
_last: List[object] = []


def _client(url: str) -> Client:
    _clients.append(Client(url))
    return _clients[-1]


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _leaving() -> None:
    print("leaving", flush=True)


def _wait_for_ever(client: Client) -> None:
    try:
        client.wait_for_result("never", None)
    except exc.ClientClosedError:
        pass


def _start_waiting(client: Client) -> None:
    threading.Thread(target=_wait_for_ever, args=(client,), daemon=True).start()
    _until(lambda: client.stats().waits)


def idle(url: str) -> None:
    """After a submit, with nothing under way."""
    _client(url).submit_job("work", None)
    _leaving()


def waiting(url: str) -> None:
    """With 20 waits under way in other threads."""
    client = _client(url)
    for _ in range(20):
        _start_waiting(client)
    _leaving()


def submitting(url: str) -> None:
    """With a submit under way, whose reply never comes."""
    client = _client(url)

    def submit() -> None:
        try:
            client.submit_job("work", None)
        except exc.BananasError:
            pass

    threading.Thread(target=submit, daemon=True).start()
    _until(lambda: client.stats().open_requests)
    _leaving()


def _is_in(thread: threading.Thread, function: str) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back
    return frame is not None


def connecting(url: str) -> None:
    """With a connection attempt under way, which nobody answers."""

    def connect() -> None:
        try:
            _client(url)
        except exc.BananasError:
            pass

    trying = threading.Thread(target=connect, daemon=True)
    trying.start()
    _until(lambda: _is_in(trying, "_connect_to_any") or _is_in(trying, "recv_into"))
    _leaving()


def main_thread_in_a_call(url: str) -> None:
    """By SystemExit out of a wait of the main thread."""
    client = _client(url)

    def leave(number: int, frame: object) -> NoReturn:
        _leaving()
        sys.exit(0)

    def interrupt() -> None:
        _until(lambda: client.stats().waits)
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=interrupt).start()
    client.wait_for_result("never", None)


def other_thread(url: str) -> None:
    """In the main thread first, while another one is still at work, and finishes it."""
    ended = threading.main_thread()
    client = _client(url)

    def work() -> None:
        _until(lambda: not ended.is_alive())
        assert client.get_job(client.submit_job("work", None)) is not None

    threading.Thread(target=work).start()
    _leaving()


def late_client(url: str) -> None:
    """While another thread makes the process's first client, too late for a thread of its own."""
    ended = threading.main_thread()

    def work() -> None:
        _until(lambda: not ended.is_alive())
        try:
            _client(url).submit_job("work", None)
        except exc.ClientClosedError:
            assert sys.version_info >= (3, 12)

    threading.Thread(target=work).start()
    _leaving()


def exit_hook(url: str) -> None:
    """With a hook that uses the client and closes it."""
    client = _client(url)

    def close() -> None:
        client.submit_job("work", None)
        client.close()

    atexit.register(close)
    _leaving()


def open_iterator(url: str) -> None:
    """With a generator that is inside an iteration over results."""

    def results() -> Iterator[object]:
        with _client(url).as_completed(["never"], None) as results:
            yield
            yield from results

    _generators.append(results())
    next(_generators[0])
    _leaving()


class _Last:
    """Submits when it is collected."""

    def __init__(self, client: Client) -> None:
        self._submit = client.submit_job

    def __del__(self) -> None:
        self._submit("work", None)


def collected_late(url: str) -> None:
    """With an object that submits when the interpreter collects it."""
    _last.append(_Last(_client(url)))
    _leaving()


WAYS: Dict[str, Callable[[str], None]] = {
    way.__name__: way
    for way in (
        idle, waiting, submitting, connecting, main_thread_in_a_call, other_thread, late_client,
        exit_hook, open_iterator, collected_late,
    )
}  # fmt: skip


if __name__ == "__main__":
    WAYS[sys.argv[1]](sys.argv[2])
