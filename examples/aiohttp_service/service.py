"""Order reports over HTTP, and follow them: an aiohttp server.

Without a Redis and a worker:  python service.py
With those that you have:      BANANAS_REDIS_URL=redis://localhost:6379 python service.py
"""

import os

from aiohttp import web

from bananas import JobSpec
from bananas.aiohttp import (
    accepted,
    bananas_context,
    client_of,
    error_middleware,
    idempotent_job_id,
    job_events,
    submit_once,
    wait_for_job,
)

routes = web.RouteTableDef()


@routes.post("/reports")
async def order_report(request: web.Request) -> web.Response:
    job_id = idempotent_job_id(request, tenant="one")  # the caller's account
    spec = JobSpec("report", await request.json(), job_id=job_id)
    return accepted(request, await submit_once(client_of(request), spec))


@routes.get("/reports/{job_id}", name="read_report")
async def read_report(request: web.Request) -> web.Response:
    result = await wait_for_job(request, request.match_info["job_id"], timeout=10)
    return web.json_response(result.get_result())


@routes.get("/reports/{job_id}/events")
async def follow_report(request: web.Request) -> web.StreamResponse:
    return await job_events(request, request.match_info["job_id"], with_result=True)


def make_app() -> web.Application:
    app = web.Application(middlewares=[error_middleware(job_route="read_report")])
    app.cleanup_ctx.append(bananas_context())  # BANANAS_REDIS_URL, or localhost:6379
    app.add_routes(routes)
    return app


def serve() -> None:
    web.run_app(make_app(), host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))


if __name__ == "__main__":
    if "BANANAS_REDIS_URL" in os.environ:
        serve()
    else:
        from bananas.testing import LocalQueue, succeed

        with LocalQueue() as queue:  # neither Redis nor a Go worker is needed to try this
            queue.handle("report", succeed({"pages": 3}))
            os.environ["BANANAS_REDIS_URL"] = queue.url
            serve()
