"""Forks inside the iterable that it submits, and while it is told how far a requeue is."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Callable, Iterator, List, TypeVar

from bananas import Client, JobSpec
from bananas.operating import DeadLetterCounts

T = TypeVar("T")
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


def refused_in_the_child(call: Callable[[], T]) -> T:
    """Return what a call that forks comes to; in the child, print that it was refused."""
    parent = os.getpid()
    try:
        return call()
    except RuntimeError as error:
        assert "forked" in str(error)
        assert os.getpid() != parent
        print("refused", flush=True)
        os._exit(0)


def iterate(client: Client, ids: List[str]) -> None:
    """Fork inside iterations; the child leaves them, and the parent goes on."""
    entries = client.queue.jobs("queued", limit=10)
    with client.as_completed(ids, 60) as results, client.watch(ids[0], 60) as changes:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            print(f"iterated {len(list(entries))} {next(changes).location.place}", flush=True)
            return
        for iteration in (results, changes, entries):
            try:
                next(iteration)
            except RuntimeError as error:
                print("refused" if "forked inside the iteration" in str(error) else error)
    sys.stdout.flush()
    os._exit(0)


def main(url: str) -> None:
    """Submit and requeue, and print what each of the two processes came to."""
    warnings.simplefilter("ignore", DeprecationWarning)  # there is a thread: that is the point
    client = Client(url)
    ids = refused_in_the_child(lambda: client.submit_jobs(specs()))
    print(f"submitted {len(ids)}", flush=True)
    children: List[int] = []

    def progress(counts: DeadLetterCounts) -> None:
        if not children:
            children.append(os.fork())
            if children[0]:
                os.waitpid(children[0], 0)

    found = refused_in_the_child(lambda: client.dead_letters.requeue(all=True, progress=progress))
    print(f"requeued {found.done}", flush=True)
    iterate(client, ids)
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
