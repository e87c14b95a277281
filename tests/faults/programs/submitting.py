"""Does nothing but submit, and says how many threads that has taken."""

from __future__ import annotations

import sys
import threading
from datetime import timedelta

from bananas import Client, JobPriority


def main(url: str) -> None:
    """Submit in every way that needs no id of the caller's."""
    with Client(url) as client:
        client.connect()
        client.submit_job("work", {"number": 1}, JobPriority.HIGH)
        client.submit_job_scheduled("work", None, scheduled_for=timedelta(hours=1))
        client.submit_job("work", "text", routing_key="gpu")
        assert client.stats().connected
        assert threading.enumerate() == [threading.main_thread()]
    assert threading.enumerate() == [threading.main_thread()]
    print("one thread", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
