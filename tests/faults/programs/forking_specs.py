"""Forks inside the iterable that it submits."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Iterator

from bananas import Client, JobSpec

FIRST, MORE = 700, 600


def specs() -> Iterator[JobSpec]:
    """Yield jobs; some of them have been sent when the process forks."""
    for number in range(FIRST):
        yield JobSpec("work", number)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    for number in range(MORE):
        yield JobSpec("work", number)


def main(url: str) -> None:
    """Submit, and print what each of the two processes came to."""
    warnings.simplefilter("ignore", DeprecationWarning)  # there is a thread: that is the point
    parent = os.getpid()
    client = Client(url)
    try:
        ids = client.submit_jobs(specs())
    except RuntimeError as error:
        assert "forked" in str(error)
        assert os.getpid() != parent
        print("refused", flush=True)
        os._exit(0)
    print(f"submitted {len(ids)}", flush=True)
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
