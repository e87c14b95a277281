"""Submit a job from asyncio, and await its result."""

import asyncio
import os
import sys

from bananas import AsyncClient, Job
from bananas.testing import LocalQueue


async def main(url: str) -> None:
    async with AsyncClient(url) as client:
        job_id = await client.submit_job("greet", {"name": "Ada"})
        result = await client.wait_for_result(job_id, timeout=30)
        print(result.get_result())

        # Or in one call. Many waits at the same time share one connection.
        names = ["Barbara", "Grace", "Radia"]
        waits = [client.submit_and_wait("greet", {"name": name}) for name in names]
        for result in await asyncio.gather(*waits):
            print(result.get_result(str))


def greet(job: Job) -> str:
    """Replace the handler of a Go worker."""
    return f"hello, {job.payload['name']}"


if __name__ == "__main__":
    redis_url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BANANAS_REDIS_URL")
    if redis_url:
        asyncio.run(main(redis_url))
    else:
        with LocalQueue() as queue:  # neither Redis nor a Go worker is needed to try this
            queue.handle("greet", greet)
            asyncio.run(main(queue.url))
