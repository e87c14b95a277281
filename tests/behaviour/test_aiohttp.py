"""bananas.aiohttp: the client of an application, its answers, waits and event streams."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import sys
from typing import Any, AsyncIterator, Callable, Dict

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

import bananas.aiohttp
from bananas import AsyncClient, JobPlace, JobSpec
from bananas.aiohttp import (
    CLIENT,
    accepted,
    bananas_context,
    client_of,
    error_middleware,
    idempotent_job_id,
    job_events,
    submit_once,
    wait_for_job,
    while_connected,
)
from tests.behaviour.broker import Broker
from tests.behaviour.go_worker import GoWorker
from tests.support.ports import free_port

on_the_embedded_broker = pytest.mark.parametrize("broker", ["embedded"], indirect=True)
on_a_real_redis = pytest.mark.parametrize("broker", ["real"], indirect=True)
LIMIT = aiohttp.ClientTimeout(total=60)


async def order(request: web.Request) -> web.Response:
    job_id = idempotent_job_id(request, tenant=request.headers.get("tenant", ""), secret="s")
    spec = JobSpec("work", await request.json(), job_id=job_id)
    return accepted(request, await submit_once(client_of(request), spec))


async def read(request: web.Request) -> web.Response:
    seconds = float(request.query.get("seconds", "30"))
    job_id = request.match_info["job_id"]
    return web.json_response((await wait_for_job(request, job_id, seconds)).get_result())


async def read_or_cancel(request: web.Request) -> web.Response:
    result = await wait_for_job(request, request.match_info["job_id"], 30, cancel_job=True)
    return web.json_response(result.get_result())


async def look(request: web.Request) -> web.Response:
    job_id = await client_of(request).submit_job("work", 1)
    return web.json_response((await wait_for_job(request, job_id, 0, job_route="events")).result)


async def call(request: web.Request) -> web.Response:
    wait = client_of(request).submit_and_wait("work", 1, timeout=30, on_timeout="cancel")
    return web.json_response((await while_connected(request, wait)).get_result())


async def events(request: web.Request) -> web.StreamResponse:
    keep_alive = float(request.query.get("keep_alive", "30"))
    return await job_events(
        request, request.match_info["job_id"], keep_alive=keep_alive, with_result=True
    )


async def socket(request: web.Request) -> web.StreamResponse:
    connection = web.WebSocketResponse()
    await connection.prepare(request)
    await client_of(request).wait_for_result("no-such-job", must_exist=True)
    return connection


def make_app(url: str, **settings: Any) -> web.Application:
    """Return an application with a route of each kind; the routes are in a mounted one."""
    inner = web.Application(middlewares=[error_middleware(job_route="read", retry_after=7)])
    inner.router.add_post("/jobs", order)
    inner.router.add_get("/jobs/{job_id}", read, name="read")
    inner.router.add_get("/jobs/{job_id}/cancelled", read_or_cancel)
    inner.router.add_get("/jobs/{job_id}/events", events, name="events")
    inner.router.add_post("/calls", call)
    inner.router.add_post("/looks", look)
    inner.router.add_get("/socket", socket)
    app = web.Application()
    context = bananas_context(lambda: AsyncClient(url, **settings), connect=False)
    app.cleanup_ctx.append(context)
    app.add_subapp("/v1", inner)
    return app


@contextlib.asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[TestClient[Any, Any]]:
    """Serve an application on a port of loopback."""
    async with TestClient(TestServer(app), timeout=LIMIT) as http:
        yield http


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the loop has brought something about."""
    for _ in range(60_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come about")


async def chunk(answer: aiohttp.ClientResponse) -> str:
    """Return the next block of an event stream; empty at its end."""
    lines = []
    while True:
        line = (await answer.content.readline()).decode()
        if not line.strip():
            return "".join(lines)
        lines.append(line)


def parsed(text: str) -> Dict[str, Any]:
    """Return the fields of an event, its data decoded."""
    fields = dict(line.split(": ", 1) for line in text.strip().split("\n"))
    return {**fields, "data": json.loads(fields["data"])}


@on_the_embedded_broker
async def test_a_service(broker: Broker, worker: GoWorker) -> None:
    """A job is ordered, waited for, and read."""
    app = make_app(broker.url)
    async with serving(app) as http:
        async with http.post("/v1/jobs", json={"n": 1}) as ordered:
            assert ordered.status == 202
            job_id = (await ordered.json())["job_id"]
            location = ordered.headers["Location"]
            assert location == f"/v1/jobs/{job_id}"
        async with http.get(location, params={"seconds": 0}) as over:
            assert (over.status, over.headers["Location"]) == (202, location)
            body = await over.json()
            assert body == {"job_id": job_id, "place": "queued", "location": location}
        worker.take()
        worker.store_success(job_id, "[1]")
        async with http.get(location) as answer:
            assert await answer.json() == [1]
        async with http.post("/v1/looks") as over:
            assert over.headers["Location"].endswith("/events")
        assert app[CLIENT].stats().connected


async def test_without_a_client() -> None:
    """An application without the context says what to do."""
    app = web.Application()
    app.router.add_get("/", read)
    request = make_mocked_request("GET", "/", app=app)
    with pytest.raises(RuntimeError, match=r"cleanup_ctx.append\(bananas_context\(\)\)"):
        client_of(request)


async def test_an_unreachable_queue() -> None:
    """Nothing was sent: 503, and when to try again; a start that has to connect fails."""
    url = f"redis://:geheim@127.0.0.1:{free_port()}"
    async with serving(make_app(url, connect_timeout=0.05)) as http:
        async with http.post("/v1/jobs", json={"n": 1}) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
            assert answer.content_type == "application/problem+json"
            assert "geheim" not in await answer.text()
    app = web.Application()
    app.cleanup_ctx.append(bananas_context(lambda: AsyncClient(url)))
    with pytest.raises(bananas.ConnectionError):
        await web.AppRunner(app).setup()


@on_the_embedded_broker
async def test_errors(broker: Broker) -> None:
    """An unknown job is 404 at once; a key is refused for another payload, or if it is too long."""
    async with serving(make_app(broker.url)) as http:
        for path in ("/v1/jobs/nope", "/v1/jobs/no%20id", "/v1/jobs/nope/events"):
            assert (await http.get(path)).status == 404

        async def ordered(payload: Any, tenant: str = "ada", key: str = "order-1") -> Any:
            headers = {"Idempotency-Key": key, "tenant": tenant}
            async with http.post("/v1/jobs", json=payload, headers=headers) as answer:
                return answer.status, await answer.text()

        first = await ordered({"n": 1})
        assert first[0] == 202
        assert await ordered({"n": 1}) == first
        assert (await ordered({"n": True}))[0] == 422
        assert (await ordered({"n": 1}, tenant="bob")) != first
        assert (await ordered({"n": 1}, key="k" * 256))[0] == 422
        assert len(broker.queued("queue:normal")) == 2


@on_the_embedded_broker
async def test_a_socket(broker: Broker) -> None:
    """An error does not answer a second time where an answer has begun."""
    async with serving(make_app(broker.url)) as http:
        async with http.ws_connect("/v1/socket") as connection:
            message = await connection.receive(60)
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


@on_a_real_redis
@pytest.mark.parametrize("target", ["GET /v1/jobs/it/cancelled", "POST /v1/calls"])
async def test_a_caller_who_leaves(broker: Broker, target: str) -> None:
    """A wait ends with its request, and so does the job, if that was asked for."""
    app = make_app(broker.url)
    method, _, path = target.partition(" ")
    async with serving(app) as http:
        client = app[CLIENT]
        if method == "GET":
            await client.submit_job("work", 1, job_id="it")
        asked = asyncio.ensure_future(http.request(method, path))
        await until(lambda: client.stats().waits == 1 and bool(broker.queued("queue:normal")))
        (job_id,) = broker.queued("queue:normal")
        asked.cancel()
        await until(lambda: client.stats().waits == 0 and not broker.queued("queue:normal"))
        assert (await client.locate(job_id)).place is JobPlace.CANCELLED
        await until(lambda: client.stats().open_requests == 0)


@on_the_embedded_broker
async def test_events_of_a_job(broker: Broker, worker: GoWorker) -> None:
    """A stream tells each change, ends with the job, and goes on where a browser was."""
    app = make_app(broker.url)
    async with serving(app) as http:
        client = app[CLIENT]
        job_id = await client.submit_job("work", 1)
        path = f"/v1/jobs/{job_id}/events"
        async with http.head(path) as answer:
            assert answer.content_type == "text/event-stream"
        async with http.get(path, params={"keep_alive": "0.01"}) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            assert await chunk(answer) == "retry: 2000\n"
            queued = parsed(await chunk(answer))
            assert queued["event"] == "queued"
            assert await chunk(answer) == ": keep-alive\n"
        await until(lambda: client.stats().waits == 0)  # who leaves is let go
        async with http.get(path, headers={"Last-Event-ID": queued["id"]}) as answer:
            await chunk(answer)
            worker.take()
            assert parsed(await chunk(answer))["event"] == "taken"
            worker.store_success(job_id, "[7]")
            worker.complete(job_id)
            last = parsed(await chunk(answer))
            assert (last["event"], last["data"]["result"]) == ("finished", [7])
            assert await chunk(answer) == ""
        async with http.get(path, headers={"Last-Event-ID": last["id"]}) as answer:
            assert answer.status == 204


@on_the_embedded_broker
async def test_a_server_that_stops(broker: Broker) -> None:
    """At its end, waits are answered with 202 and streams end; nobody has to wait for them."""
    app = make_app(broker.url)
    async with serving(app) as http:
        job_id = await app[CLIENT].submit_job("work", 1)
        asked = asyncio.ensure_future(http.get(f"/v1/jobs/{job_id}"))
        stream = await http.get(f"/v1/jobs/{job_id}/events")
        await until(lambda: app[CLIENT].stats().waits == 1)
        await app.shutdown()
        async with await asked as answer:
            assert (answer.status, (await answer.json())["place"]) == (202, "queued")
        async with stream:
            assert "queued" in await stream.text()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where aiohttp is missing, the import says which extra brings it, and the command."""
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    spec = importlib.util.spec_from_file_location("bananas.copy", bananas.aiohttp.__file__)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ImportError, match=r'python -m pip install "bananas-queue\[aiohttp\]"'):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
