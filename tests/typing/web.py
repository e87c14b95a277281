"""How web applications use the package, for the type checker alone: nothing here is run."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any, AsyncIterator, Dict, Optional

from aiohttp import web
from fastapi import FastAPI, Request, Response
from starlette.applications import Starlette
from typing_extensions import assert_type

import bananas.aiohttp
import bananas.fastapi
from bananas import AsyncClient, JobResult, JobSpec
from bananas.client import ClientStats
from bananas.fastapi import BananasClient, IdempotencyKey, JobId


@asynccontextmanager
async def own_lifespan(app: FastAPI) -> AsyncIterator[Dict[str, int]]:
    """An application's own lifespan, with a state."""
    async with bananas.fastapi.open_client(app) as client:
        assert_type(client, AsyncClient)
        yield {"answer": 42}


FastAPI(lifespan=own_lifespan)
app = FastAPI(lifespan=bananas.fastapi.bananas_lifespan(inner=own_lifespan, connect=False))
Starlette(lifespan=bananas.fastapi.bananas_lifespan(lambda: AsyncClient(read_timeout=1)))
bananas.fastapi.install_error_handlers(app, job_route="read", retry_after=1, show_errors=True)


@app.post("/jobs")
async def order(
    request: Request, client: BananasClient, payload: Dict[str, int], key: IdempotencyKey = None
) -> Response:
    """Submit once for each key."""
    job_id = bananas.fastapi.idempotent_job_id(request, key, tenant="t", secret=b"s")
    assert_type(job_id, Optional[str])
    queued = await bananas.fastapi.submit_once(client, JobSpec("work", payload, job_id=job_id))
    assert_type(queued, str)
    return bananas.fastapi.accepted(request, queued)


@app.get("/jobs/{job_id}")
async def read(request: Request, client: BananasClient, job_id: JobId) -> int:
    """Wait in two ways."""
    result = await bananas.fastapi.wait_for_job(request, job_id, 5, cancel_job=True)
    assert_type(result, JobResult[Any])
    wait = client.submit_and_wait("work", 1)
    assert_type(await bananas.fastapi.while_connected(request, wait), JobResult[Any])
    return result.get_result(int)


@app.get("/events")
async def events(request: Request) -> Response:
    """Stream."""
    return await bananas.fastapi.job_events(request, "job", keep_alive=5, with_result=True)


@app.get("/health")
def health(client: BananasClient) -> ClientStats:
    """Ask in an endpoint that blocks."""
    return client.stats()


async def order_in_aiohttp(request: web.Request) -> web.Response:
    """Submit once for each key."""
    client = bananas.aiohttp.client_of(request)
    assert_type(client, AsyncClient)
    assert_type(request.app[bananas.aiohttp.CLIENT], AsyncClient)
    job_id = bananas.aiohttp.idempotent_job_id(request, tenant="t")
    spec = JobSpec("work", 1, job_id=job_id)
    return bananas.aiohttp.accepted(request, await bananas.aiohttp.submit_once(client, spec))


async def events_in_aiohttp(request: web.Request) -> web.StreamResponse:
    """Stream."""
    assert_type(await bananas.aiohttp.wait_for_job(request, "job"), JobResult[Any])
    return await bananas.aiohttp.job_events(request, "job")


def aiohttp_app() -> web.Application:
    """Make an application."""
    served = web.Application(middlewares=[bananas.aiohttp.error_middleware(job_route="read")])
    served.cleanup_ctx.append(bananas.aiohttp.bananas_context(connect=False))
    served.router.add_post("/jobs", order_in_aiohttp)
    served.router.add_get("/events", events_in_aiohttp)
    return served
