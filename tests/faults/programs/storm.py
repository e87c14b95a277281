"""Makes short blocking calls under a storm of interrupts, and does not hang."""

from __future__ import annotations

import random
import signal
import sys
import warnings
from typing import List

from bananas import Client

_armed = False


def _interrupt(number: int, frame: object) -> None:
    """Do what Python does at Ctrl-C, but only inside the calls."""
    global _armed
    if _armed:
        _armed = False
        raise KeyboardInterrupt


def main(url: str, times: int, seed: int) -> None:
    """Make that many calls, each interrupted by a timer if it is not faster."""
    global _armed
    # An interrupt before a coroutine's first step leaves it unstarted, and nothing is lost.
    warnings.simplefilter("ignore", RuntimeWarning)
    # Nor can one that strikes in a callback of the garbage collector's be told to anybody.
    sys.unraisablehook = lambda unraisable: None
    signal.signal(signal.SIGALRM, _interrupt)
    rng = random.Random(seed)
    client = Client(url)
    # Here, anyio imports what it is made of: an interrupt there may leave Python's own lock held.
    client.get_job("none")
    ids: List[str] = []
    struck = 0
    for turn in range(times):
        submits = turn // 50 % 2
        try:
            _armed = True
            signal.setitimer(signal.ITIMER_REAL, rng.expovariate(20_000))
            if submits:
                ids.append(client.submit_job("work", turn))
            else:
                assert client.get_job("none") is None
            _armed = False
        except KeyboardInterrupt:
            struck += 1
    ids.append(client.submit_job("work", None))
    assert None not in client.get_jobs(ids)
    client.close()
    print("usable" if struck > times / 10 else f"struck {struck} times only", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
