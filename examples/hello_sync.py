"""Submit a job from code that blocks, and wait for its result."""

import os
import sys

from bananas import Client, Job, JobPriority
from bananas.testing import LocalQueue


def main(url: str) -> None:
    with Client(url) as client:
        job_id = client.submit_job("greet", {"name": "Ada"}, JobPriority.HIGH)
        result = client.wait_for_result(job_id, timeout=30)
        print(result.get_result())

        # Any number of threads can share one client, and it works after a fork.
        print(client.submit_and_wait("greet", {"name": "Grace"}).get_result(str))


def greet(job: Job) -> str:
    """Replace the handler of a Go worker."""
    return f"hello, {job.payload['name']}"


if __name__ == "__main__":
    redis_url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BANANAS_REDIS_URL")
    if redis_url:
        main(redis_url)
    else:
        with LocalQueue() as queue:  # neither Redis nor a Go worker is needed to try this
            queue.handle("greet", greet)
            main(queue.url)
