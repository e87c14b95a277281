"""Schedule a job for later; it is never run early."""

import asyncio
import os
import sys
from datetime import datetime, timedelta, timezone

from bananas import AsyncClient, Job, JobPriority
from bananas.testing import LocalQueue


async def main(url: str) -> None:
    async with AsyncClient(url) as client:
        # A span from now, or an aware datetime in any zone; a naive one is refused.
        due = datetime.now(timezone(timedelta(hours=5, minutes=30))) + timedelta(seconds=1)
        job_id = await client.submit_job_scheduled(
            "remind", {"text": "tea"}, JobPriority.NORMAL, due
        )
        job = await client.get_job(job_id)
        if job is not None:
            print(f"{job.status}, due when it was asked for: {job.scheduled_for == due}")

        result = await client.wait_for_result(job_id, timeout=30)
        early = datetime.now(timezone.utc) < due
        print(f"{result.status}, early: {early}, result: {result.get_result()}")


def remind(job: Job) -> str:
    """Replace the handler of a Go worker."""
    return f"time for {job.payload['text']}"


if __name__ == "__main__":
    redis_url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BANANAS_REDIS_URL")
    if redis_url:
        asyncio.run(main(redis_url))
    else:
        with LocalQueue() as queue:  # neither Redis nor a Go worker is needed to try this
            queue.handle("remind", remind)
            asyncio.run(main(queue.url))
