"""Has a signal handler strike before each instruction of a lone submit in turn."""

from __future__ import annotations

import logging
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Callable, Dict, List, Optional

from bananas import Client

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
    """Counts how often a reply was waited for in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "it is silent" in record.getMessage()


def _interrupt() -> None:
    raise KeyboardInterrupt


def main(url: str, deed: str, stride: int, direct_url: str) -> None:
    """Submit until a submit is shorter than the instructions it is given before the strike."""
    warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine may be left unstarted
    silences = Silences()
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
            strike = Strike(strikes * stride, deeds[deed])
            try:
                with strike:
                    job_id = client.submit_job("struck", strikes)
                ids.append(job_id)
            except KeyboardInterrupt as error:
                kept.append(error)
            if not strike.struck or silences.count:
                break
            strikes += 1
    with Client(direct_url) as client:  # thousands of documents, which need not come in pieces
        missing = [job_id for job_id, job in zip(ids, client.get_jobs(ids)) if job is None]
    if missing or silences.count or strikes * stride < 500:
        print(f"{len(missing)} missing, {silences.count} silences, {strikes} strikes", flush=True)
    print("usable", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
