"""Is interrupted by SIGINT in a blocking call, which its first argument names, and goes on."""

from __future__ import annotations

import sys
import time
from typing import Callable, Dict

from bananas import Client

CALLS: Dict[str, Callable[[Client], object]] = {
    "wait_for_result": lambda client: client.wait_for_result("never", None),
    "submit_and_wait": lambda client: client.submit_and_wait("work", None, timeout=None),
    "submit_job": lambda client: client.submit_job("work", None),
    "submit_job with an id": lambda client: client.submit_job("work", None, job_id="job"),
    "get_job": lambda client: client.get_job("job"),
    "as_completed": lambda client: list(client.as_completed(["never"], None)),
}


def main(name: str, url: str) -> None:
    """Say when the call is about to be made, and whether it was cancelled by the interrupt."""
    client = Client(url, submit_timeout=60, read_timeout=60)
    client.submit_job("before", None)
    print("calling", flush=True)
    try:
        CALLS[name](client)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    deadline = time.monotonic() + 20
    while client.stats().waits:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    sys.stdin.readline()
    job_id = client.submit_job("after", None)
    assert client.get_job(job_id) is not None
    client.close()
    print("usable", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
