"""Order reports over HTTP, and follow them in the browser.

Without a Redis and a worker:  python service.py
With those that you have:      uvicorn service:app --workers 2
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from bananas import JobType
from bananas.client import ClientStats
from bananas.fastapi import (
    BananasClient,
    IdempotencyKey,
    JobId,
    bananas_lifespan,
    idempotent_job_id,
    install_error_handlers,
    job_events,
    submit_once,
    wait_for_job,
)


@dataclass
class Order:
    """The body of a request, and the payload of the job."""

    month: str


@dataclass
class Report:
    """The result of the job, and the answer."""

    pages: int


REPORT = JobType("report", payload=Order, result=Report)

app = FastAPI(lifespan=bananas_lifespan())  # BANANAS_REDIS_URL, or else localhost:6379
install_error_handlers(app, job_route="read_report")


@app.post("/reports")
async def order_report(
    request: Request,
    client: BananasClient,
    order: Order,
    key: IdempotencyKey = None,
    wait: float = 0,
) -> Report:
    """Answer with the report, or after ``wait`` seconds with 202 and its address."""
    job_id = idempotent_job_id(request, key, tenant="one")  # the caller's account
    job_id = await submit_once(client, REPORT.spec(order, job_id=job_id))
    return (await wait_for_job(request, job_id, min(wait, 20))).get_result(Report)


@app.get("/reports/{job_id}")
async def read_report(request: Request, job_id: JobId, wait: float = 0) -> Report:
    return (await wait_for_job(request, job_id, min(wait, 20))).get_result(Report)


@app.get("/reports/{job_id}/events")
async def follow_report(request: Request, job_id: JobId) -> Response:
    return await job_events(request, job_id, with_result=True)


@app.get("/healthz")
def is_alive(client: BananasClient) -> ClientStats:
    """Answer without I/O: the process is alive."""
    return client.stats()


@app.get("/readyz")
async def is_ready(client: BananasClient) -> Dict[str, int]:
    """Ask Redis; if it can't be reached, the answer is 503."""
    depths = await client.queue.depths()
    return {"queued": depths.total_queued, "dead": depths.dead}


@app.get("/", response_class=HTMLResponse)
def page() -> str:
    return Path(__file__).with_name("page.html").read_text(encoding="utf-8")


if __name__ == "__main__":
    from bananas.testing import LocalQueue, fail, slow, succeed

    with LocalQueue() as queue:  # neither Redis nor a Go worker is needed to try this
        failing_once = fail("no paper", times=1, then=succeed({"pages": 3}))
        queue.handle("report", slow(1, then=failing_once))
        os.environ["BANANAS_REDIS_URL"] = queue.url
        uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
