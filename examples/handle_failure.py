"""Meet the ways in which a wait can end, other than with a success at the first attempt."""

import os
import sys

import bananas
from bananas.testing import LocalQueue


def main(url: str) -> None:
    with bananas.Client(url) as client:
        # A failed attempt is retried after two seconds; a wait returns only the final result.
        print("flaky:", client.submit_and_wait("flaky", {}).get_result())

        # max_retries counts attempts: this job gets one.
        result = client.submit_and_wait("broken", {}, max_retries=1)
        print("broken:", result.status, "-", result.error)
        try:
            result.get_result()
        except bananas.JobFailedError as error:
            print("get_result() raises it:", error.error)

        # A time-out ends the wait and not the job, and says where the job is; 0 only looks.
        try:
            client.wait_for_result("no-such-job", timeout=0)
        except bananas.TimeoutError as error:
            print("no result in time, the job is", error.whereabouts)


def flaky(job: bananas.Job) -> str:
    if job.attempts == 0:
        raise RuntimeError("the first attempt fails")
    return f"done in attempt {job.attempts + 1}"


def broken(job: bananas.Job) -> None:
    raise RuntimeError("nothing works today")


if __name__ == "__main__":
    redis_url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BANANAS_REDIS_URL")
    if redis_url:
        main(redis_url)
    else:
        with LocalQueue() as queue:  # neither Redis nor a Go worker is needed to try this
            queue.handle("flaky", flaky)
            queue.handle("broken", broken)
            main(queue.url)
