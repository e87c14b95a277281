"""Has a signal handler strike before each instruction of a blocking call in turn."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, Callable, Dict, List, Optional

from bananas import Client
from bananas._blocking import loop_thread
from bananas._blocking.blocking_connection import BlockingConnection

DEEDS = ("interrupts", "submits", "reads", "has another thread submit")


class Strike:
    """Traces what a block does inside the package, up to one instruction, and does something there.

    Args:
        after: How many instructions are left in peace.
        deed: What to do then, as a signal handler would, before the next.
    """

    def __init__(self, after: int, deed: Callable[[], object]) -> None:
        self.left = after
        self.deed = deed

    def __enter__(self) -> Strike:
        sys.settrace(self._enter_frame)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    @property
    def struck(self) -> bool:
        """Whether the block was that long."""
        return self.left < 0

    def _enter_frame(
        self, frame: FrameType, event: str, _: object
    ) -> Optional[Callable[..., object]]:
        if not frame.f_globals.get("__name__", "").startswith("bananas."):
            return None
        frame.f_trace = self._trace  # before the next, for 3.13
        frame.f_trace_opcodes = True
        return self._trace

    def _trace(self, frame: FrameType, event: str, _: object) -> Optional[Callable[..., object]]:
        if event == "opcode" and not self.struck:
            self.left -= 1
            if self.struck:
                self.deed()
        return self._trace


class Silences(logging.Handler):
    """Counts how often a reply was waited for in vain, by the loop or on a blocking connection."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._exchange = BlockingConnection.exchange

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "it is silent" in record.getMessage()

    def exchange(self, connection: BlockingConnection, *args: Any) -> Any:
        """Do what the connection does, and count."""
        try:
            return self._exchange(connection, *args)
        except TimeoutError:
            self.count += 1
            raise


def _interrupt() -> None:
    raise KeyboardInterrupt


def _make_ready(client: Client, call: str) -> None:
    """See to what the call is to meet."""
    pool = client._connections.here.pool
    if call == "opening a blocking connection":
        pool._close_free()
    elif call == "starting the loop":
        thread = loop_thread._threads.pop(os.getpid(), None)
        if thread is not None:
            thread.stop()
    else:
        assert pool._free


def main(url: str, call: str, deed: str, first: int, stride: int, direct_url: str) -> None:
    """Make calls until one is shorter than the instructions it is given before the strike.

    Args:
        url: Where the calls go.
        call: What is called.
        deed: What the signal handler does.
        first: How many instructions are left in peace before the first strike.
        stride: How many more before each other one.
        direct_url: The same server, without a proxy.
    """
    warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine may be left unstarted
    # A strike between the making of a socket and its first name leaves it to the collector.
    warnings.simplefilter("ignore", ResourceWarning)
    silences = Silences()
    BlockingConnection.exchange = lambda connection, *args: silences.exchange(connection, *args)  # type: ignore[method-assign]
    logging.getLogger("bananas").addHandler(silences)
    logging.getLogger("bananas").setLevel(logging.DEBUG)
    logging.getLogger("bananas").propagate = False  # they are heard, and not printed
    ids: List[str] = []
    kept: List[BaseException] = []  # as a debugger does; they refer to all that was under way
    strikes = 0
    with Client(url) as client, ThreadPoolExecutor(1) as another:
        deeds: Dict[str, Callable[[], object]] = {
            "interrupts": _interrupt,
            "submits": lambda: ids.append(client.submit_job("from the handler", None)),
            "reads": lambda: client.get_jobs(ids[-1:]),
            "has another thread submit": lambda: ids.append(
                another.submit(client.submit_job, "from another thread", None).result()
            ),
        }
        while True:
            if strikes % 2:  # it has to do with what another thread has left behind
                ids.append(another.submit(client.submit_job, "work", None).result())
            else:
                ids.append(client.submit_job("work", None))
            _make_ready(client, call)
            strike = Strike(first + strikes * stride, deeds[deed])
            try:
                with strike:
                    if call == "starting the loop":
                        client.get_job(ids[-1])
                    else:
                        ids.append(client.submit_job("struck", strikes))
            except KeyboardInterrupt as error:
                kept.append(error)
            if not strike.struck or silences.count:
                break
            strikes += 1
        carried = client._connections.here.pool.submits
    with Client(direct_url) as client:  # thousands of documents, which need not come in pieces
        missing = [job_id for job_id, job in zip(ids, client.get_jobs(ids)) if job is None]
    if missing or silences.count or strikes * stride < 500 or carried < strikes:
        print(
            f"{len(missing)} missing, {silences.count} silences, {strikes} strikes, "
            f"{carried} carried by the pool",
            flush=True,
        )
    print("usable", flush=True)


if __name__ == "__main__":
    url, call, deed, first, stride, direct_url = sys.argv[1:]
    main(url, call, deed, int(first), int(stride), direct_url)
