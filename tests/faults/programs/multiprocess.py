"""Shares the work among the processes of a multiprocessing pool."""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import List, Tuple

from bananas import Client

#: The client of this process, or, in a forked one, of its parent.
clients: List[Client] = []


def work(number: int) -> Tuple[int, str]:
    """Submit a job and read it again."""
    if not clients:
        clients.append(Client(os.environ["BANANAS_REDIS_URL"]))
    job_id = clients[0].submit_job("work", number)
    job = clients[0].get_job(job_id)
    assert job is not None
    assert job.payload == number
    return os.getpid(), job_id


def main(method: str) -> None:
    """Work in this process and in two others at the same time."""
    work(-1)
    with multiprocessing.get_context(method).Pool(2) as pool:
        others = pool.map_async(work, range(100), chunksize=5)
        own = [work(number) for number in range(100)]
        done = [*own, *others.get(60)]
        pool.close()
        pool.join()
    assert len({job_id for _, job_id in done}) == 200
    assert {pid for pid, _ in done} > {os.getpid()}
    assert clients[0].stats().reconnects == 0
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
