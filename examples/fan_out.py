"""Submit a hundred jobs in one round trip, and take each result as it comes."""

import asyncio
import os
import sys

from bananas import AsyncClient, Job, JobPriority, JobSpec
from bananas.testing import LocalQueue


async def main(url: str) -> None:
    async with AsyncClient(url) as client:
        specs = [JobSpec("square", {"n": n}, JobPriority.LOW) for n in range(100)]
        job_ids = await client.submit_jobs(specs)

        total = 0
        # One connection serves all waits; results come in the order in which the jobs end.
        async with client.as_completed(job_ids, timeout=60) as results:
            async for result in results:
                total += result.get_result(int)
        print(f"{len(job_ids)} jobs, the sum of the squares is {total}")


def square(job: Job) -> int:
    """Replace the handler of a Go worker."""
    number: int = job.payload["n"]
    return number * number


if __name__ == "__main__":
    redis_url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BANANAS_REDIS_URL")
    if redis_url:
        asyncio.run(main(redis_url))
    else:
        with LocalQueue() as queue:  # neither Redis nor a Go worker is needed to try this
            queue.handle("square", square)
            asyncio.run(main(queue.url))
