"""Run the service with a small Redis and a worker in its own process."""

import logging
import os
from typing import Dict

import uvicorn

from bananas import Job
from bananas.testing import LocalQueue


def report(job: Job) -> Dict[str, int]:
    """Stand in for the Go handler."""
    if not job.payload["month"].startswith("20"):
        raise ValueError("there is no such month")
    return {"pages": 12}


if __name__ == "__main__":
    logging.basicConfig()  # shows what the handler raises
    with LocalQueue() as queue:
        queue.handle("report", report)
        os.environ["BANANAS_REDIS_URL"] = queue.url
        uvicorn.run("reports:app", port=8000)
