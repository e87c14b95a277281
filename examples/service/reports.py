"""Order reports over HTTP; Go workers write them."""

from typing import Any, Dict

from fastapi import FastAPI, Request, Response

from bananas import JobSpec
from bananas.fastapi import (
    BananasClient,
    IdempotencyKey,
    JobId,
    accepted,
    bananas_lifespan,
    idempotent_job_id,
    install_error_handlers,
    submit_once,
    wait_for_job,
)

app = FastAPI(lifespan=bananas_lifespan())  # BANANAS_REDIS_URL
install_error_handlers(app, job_route="read_report")


@app.post("/reports", status_code=202)
async def order_report(
    request: Request,
    client: BananasClient,
    month: str,
    key: IdempotencyKey = None,
) -> Response:
    job_id = idempotent_job_id(request, key, tenant="demo")
    spec = JobSpec("report", {"month": month}, job_id=job_id)
    job_id = await submit_once(client, spec)
    return accepted(request, job_id, job_route="read_report")


@app.get("/reports/{job_id}")
async def read_report(
    request: Request,
    job_id: JobId,
    wait: float = 10,
) -> Dict[str, Any]:
    result = await wait_for_job(request, job_id, timeout=min(wait, 20))
    report = result.get_result(default=None)  # None from a plain handler
    return {"job_id": job_id, "report": report}


@app.get("/healthz")
def is_alive(client: BananasClient) -> Dict[str, bool]:
    return {"connected": client.stats().connected}
