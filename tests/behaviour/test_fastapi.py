"""bananas.fastapi: the client of an application, its answers, waits and event streams."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import sys
from typing import Any, AsyncIterator, Callable, Dict, List

import pytest
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.websockets import WebSocketDisconnect

import bananas.fastapi
from bananas import AsyncClient, JobPlace, JobSpec
from bananas.client import ClientStats
from bananas.fastapi import (
    BananasClient,
    IdempotencyKey,
    JobId,
    accepted,
    bananas_lifespan,
    client_of,
    get_client,
    idempotent_job_id,
    install_error_handlers,
    job_events,
    open_client,
    submit_once,
    wait_for_job,
    while_connected,
)
from tests.behaviour.asgi import Exchange, ask
from tests.behaviour.broker import Broker
from tests.behaviour.go_worker import GoWorker
from tests.support import FaultProxy, Hold, Signal, command
from tests.support.ports import free_port

on_the_embedded_broker = pytest.mark.parametrize("broker", ["embedded"], indirect=True)
on_a_real_redis = pytest.mark.parametrize("broker", ["real"], indirect=True)
PATIENCE = 60.0


def make_app(url: str, **settings: Any) -> FastAPI:
    """Return an application with a route of each kind."""
    app = FastAPI(lifespan=bananas_lifespan(lambda: AsyncClient(url, **settings), connect=False))
    install_error_handlers(app, job_route="read", retry_after=7)

    @app.post("/jobs")
    async def order(
        request: Request, client: BananasClient, payload: Dict[str, Any], key: IdempotencyKey = None
    ) -> Response:
        tenant = request.headers.get("tenant", "")
        job_id = idempotent_job_id(request, key, tenant=tenant, secret="s")
        return accepted(request, await submit_once(client, JobSpec("work", payload, job_id=job_id)))

    @app.get("/jobs/{job_id}", name="read")
    async def read(request: Request, job_id: JobId, seconds: float = 30) -> Any:
        return (await wait_for_job(request, job_id, seconds, cancel_job=True)).get_result()

    @app.post("/elsewhere")
    async def order_elsewhere(request: Request, client: BananasClient) -> Any:
        job_id = await client.submit_job("work", 1)
        return (await wait_for_job(request, job_id, 0, job_route="events")).get_result()

    @app.post("/calls")
    async def call(request: Request, client: BananasClient) -> Any:
        wait = client.submit_and_wait("work", 1, timeout=30, on_timeout="cancel")
        return (await while_connected(request, wait)).get_result()

    @app.get("/jobs/{job_id}/events", name="events")
    async def events(request: Request, job_id: str, keep_alive: float = 30) -> Response:
        return await job_events(request, job_id, keep_alive=keep_alive, with_result=True)

    @app.get("/health")
    def health(client: BananasClient) -> ClientStats:
        return client.stats()

    @app.get("/health/async")
    async def health_async(client: BananasClient) -> ClientStats:
        return client.stats()

    @app.websocket("/socket")
    async def socket(connection: WebSocket, client: BananasClient) -> None:
        await connection.accept()
        await client.wait_for_result("no-such-job", must_exist=True)

    return app


@contextlib.asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[AsyncClient]:
    """Run an application's lifespan on the loop of the test."""
    async with app.router.lifespan_context(app):
        yield client_of(app)


@pytest.fixture
def app(broker: Broker) -> FastAPI:
    """The application, for the broker."""
    return make_app(broker.url)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the loop has brought something about."""
    for _ in range(60_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come about")


# -- the client ----------------------------------------------------------------------------------


@on_the_embedded_broker
def test_a_service(app: FastAPI, worker: GoWorker) -> None:
    """A job is ordered, waited for, and read; a client lives as long as the application."""
    with TestClient(app) as http:
        ordered = http.post("/jobs", json={"n": 1})
        assert ordered.status_code == 202
        job_id, location = ordered.json()["job_id"], ordered.headers["location"]
        assert location == f"/jobs/{job_id}"
        assert ordered.json() == {"job_id": job_id, "location": location}

        over = http.get(location, params={"seconds": 0})
        assert (over.status_code, over.headers["location"]) == (202, location)
        assert over.json() == {"job_id": job_id, "place": "queued", "location": location}

        worker.take()
        worker.store_success(job_id, '{"pages":3}')
        assert http.get(f"/jobs/{job_id}").json() == {"pages": 3}
        location = http.post("/elsewhere").headers["location"]
        assert location.endswith("/events")
        for path in ("/health", "/health/async"):
            assert http.get(path).json()["connected"] is True
    with pytest.raises(RuntimeError, match="with TestClient"):
        client_of(app)
    with TestClient(app) as http:  # a second life, with a client of its own
        assert http.get(f"/jobs/{job_id}").json() == {"pages": 3}


def test_without_a_lifespan() -> None:
    """Without its lifespan an application has no client, and says what to do."""
    http = TestClient(make_app("redis://127.0.0.1:1"))
    with pytest.raises(RuntimeError, match=r"give it lifespan=bananas_lifespan\(\), or call"):
        http.get("/health")


def test_a_test_brings_its_own_client() -> None:
    """A test may replace what ``BananasClient`` depends on."""
    app = make_app("redis://127.0.0.1:1")
    client = AsyncClient("redis://127.0.0.1:1")
    app.dependency_overrides[get_client] = lambda: client
    assert TestClient(app).get("/health").json()["connected"] is False


@on_the_embedded_broker
async def test_lifespans_compose(broker: Broker) -> None:
    """The application's own lifespan runs inside, with its state; mounted ones get the client."""
    order: List[str] = []

    @contextlib.asynccontextmanager
    async def own(app: Starlette) -> AsyncIterator[Dict[str, int]]:
        order.append(f"open: {client_of(app).stats().connected}")
        yield {"answer": 42}
        order.append(f"open: {client_of(app).stats().connected}")

    mounted = Starlette(routes=[Route("/", lambda _: None)])
    apart = Starlette()
    apart.state.bananas_client = "its own"
    lifespan = bananas_lifespan(lambda: AsyncClient(broker.url), inner=own)
    routes = [Mount("/a", mounted), Mount("/again", mounted), Mount("/b", apart)]
    app = Starlette(routes=routes, lifespan=lifespan)
    async with app.router.lifespan_context(app) as state:
        assert state == {"answer": 42}
        assert client_of(mounted) is client_of(app)
        assert apart.state.bananas_client == "its own"
    assert order == ["open: True", "open: True"]
    assert not hasattr(mounted.state, "bananas_client")


async def test_a_start_without_redis() -> None:
    """An application fails to start where Redis can't be reached, unless it is told not to."""
    url = f"redis://127.0.0.1:{free_port()}"
    with pytest.raises(bananas.ConnectionError):
        async with open_client(FastAPI(), AsyncClient(url)):
            pass
    async with open_client(FastAPI(), AsyncClient(url), connect=False) as client:
        assert client.stats().connected is False


@pytest.mark.parametrize("package", ["fastapi", "starlette.requests"])
def test_without_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where FastAPI is missing, the import says which extra brings it, and the command."""
    monkeypatch.setitem(sys.modules, package, None)
    spec = importlib.util.spec_from_file_location("bananas.copy", bananas.fastapi.__file__)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ImportError, match=r'python -m pip install "bananas-queue\[fastapi\]"'):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


# -- errors --------------------------------------------------------------------------------------


async def test_an_unreachable_queue() -> None:
    """Nothing was sent: 503, and when to try again."""
    app = make_app(f"redis://:geheim@127.0.0.1:{free_port()}", connect_timeout=0.05)
    async with running(app):
        reply = await ask(app, "POST /jobs", body={"n": "hidden"})
        assert (reply.status, reply.headers["retry-after"]) == (503, "7")
        assert reply.headers["content-type"] == "application/problem+json"
        assert (reply.json["error"], reply.json["status"]) == ("unreachable", 503)
        for secret in (b"geheim", b"127.0.0.1", b"hidden"):
            assert secret not in reply.body


async def test_an_unknown_outcome(proxy: FaultProxy, real_broker: Broker) -> None:
    """The id goes back to the caller, who may order again with the same key: there is one job."""
    release, key = Signal(), {"Idempotency-Key": "order-1"}
    app = make_app(proxy.url(), submit_timeout=2)
    async with running(app) as client:
        await client.connect()
        held = proxy.on(command(b"MULTI"), Hold(release))
        sent = Exchange(app, "POST /jobs", key, {"n": 1})
        await held.wait_async()
        proxy.mute()
        reply = await sent.reply()
        assert (reply.status, "place" in reply.json) == (202, False)
        assert reply.headers["location"] == f"/jobs/{reply.json['job_id']}"
        proxy.resume()
        release.set()
        proxy.cut_all()
        again = await ask(app, "POST /jobs", key, {"n": 1})
        assert again.json["job_id"] == reply.json["job_id"]
        assert real_broker.queued("queue:normal") == [reply.json["job_id"]]


@on_the_embedded_broker
def test_two_lifespans_at_a_time(broker: Broker) -> None:
    """The last one that is open gives the client, whichever of them ends first."""
    outer, inner = AsyncClient(broker.url), AsyncClient(broker.url)
    app = FastAPI(lifespan=bananas_lifespan(lambda: outer, inner=bananas_lifespan(lambda: inner)))
    with TestClient(app):
        assert client_of(app) is inner
    with contextlib.ExitStack() as first, TestClient(make_app(broker.url)) as other:
        first.enter_context(TestClient(other.app))
        found = client_of(other.app)  # type: ignore[arg-type]
        first.close()
        assert client_of(other.app) is not found  # type: ignore[arg-type]
        assert other.post("/jobs", json={"n": 1}).status_code == 202


@on_the_embedded_broker
def test_no_lifespan(app: FastAPI) -> None:
    """Every way to a client that was not opened says what to write."""
    http = TestClient(app)
    for method, path in (("POST", "/jobs"), ("GET", "/jobs/a"), ("GET", "/jobs/a/events")):
        with pytest.raises(RuntimeError, match="has no open client"):
            http.request(method, path, json={"n": 1})


@on_the_embedded_broker
async def test_an_unknown_job(app: FastAPI) -> None:
    """A job that does not exist is 404 at once, for waits and for events."""
    async with running(app):
        for target in ("/jobs/nope", "/jobs/nope/events", "/jobs/no%20id/events"):
            reply = await ask(app, "GET " + target.replace("%20", " "))
            assert (reply.status, reply.json["error"]) == (404, "job-not-found")
        assert (await ask(app, "GET /jobs/no id")).status == 422


@on_the_embedded_broker
async def test_ends_of_jobs(app: FastAPI, broker: Broker, worker: GoWorker) -> None:
    """A failure is 502, without the worker's text; a result that is gone is 410."""
    async with running(app) as client:
        failed, gone = [await client.submit_job("work", {}, job_id=name) for name in ("a", "b")]
        worker.store_failure(failed, "password=geheim")
        worker.fail_for_good(failed, "password=geheim")
        worker.complete(gone)
        reply = await ask(app, f"GET /jobs/{failed}")
        assert (reply.status, reply.json["job_id"]) == (502, failed)
        assert b"geheim" not in reply.body
        assert (await ask(app, f"GET /jobs/{gone}")).status == 410


@on_the_embedded_broker
def test_a_socket(app: FastAPI) -> None:
    """An error ends a WebSocket with a code."""
    with TestClient(app) as http, http.websocket_connect("/socket") as socket:
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_text()
    assert caught.value.code == 1011


# -- once for each idempotency key ---------------------------------------------------------------


@on_the_embedded_broker
async def test_idempotency_keys(app: FastAPI, broker: Broker) -> None:
    """A key gives one job to each tenant and route, and is refused for another payload."""
    async with running(app):

        async def order(payload: Any, tenant: str = "ada") -> Any:
            headers = {"Idempotency-Key": "order-1", "tenant": tenant}
            reply = await ask(app, "POST /jobs", headers, payload)
            return reply.status, reply.json["job_id"]

        first = await order({"n": 1, "deep": [{"x": True}]})
        assert first[0] == 202
        assert await order({"deep": [{"x": True}], "n": 1}) == first
        assert await order({"n": 1, "deep": [{"x": 1}]}) == (422, first[1])
        assert await order({"n": 2}, tenant="bob") != first
        assert len(broker.queued("queue:normal")) == 2
        assert "order-1" not in first[1]
        too_long = await ask(app, "POST /jobs", {"Idempotency-Key": "k" * 256}, {"n": 1})
        assert too_long.status == 422


# -- waiting -------------------------------------------------------------------------------------


@on_a_real_redis
@pytest.mark.parametrize("target", ["GET /jobs/it", "POST /calls"])
async def test_a_caller_who_leaves(
    app: FastAPI, broker: Broker, worker: GoWorker, target: str
) -> None:
    """A wait ends with its request, and so does the job, if that was asked for."""
    async with running(app) as client:
        if target.startswith("GET"):
            await client.submit_job("work", 1, job_id="it")
        async with Exchange(app, target):
            await until(lambda: client.stats().waits == 1 and bool(broker.queued("queue:normal")))
            (job_id,) = broker.queued("queue:normal")
        assert client.stats().waits == 0
        await until(lambda: broker.queued("queue:normal") == [])
        assert (await client.locate(job_id)).place is JobPlace.CANCELLED


@on_the_embedded_broker
async def test_a_server_that_stops(app: FastAPI) -> None:
    """At its end, waits are answered with 202 and streams end; nobody has to wait for them."""
    async with running(app) as client:
        job_id = await client.submit_job("work", 1)
        wait, events = (
            Exchange(app, f"GET /jobs/{job_id}"),
            Exchange(app, f"GET /jobs/{job_id}/events"),
        )
        await until(lambda: client.stats().waits == 1)
        assert "queued" in await events.chunk() + await events.chunk()
        app.state.bananas_stopping.set_result(None)
        reply = await wait.reply()
        assert (reply.status, reply.json["place"]) == (202, "queued")
        assert await events.chunk() == ""
        assert client.stats().waits == 0


# -- server-sent events --------------------------------------------------------------------------


def parsed(chunk: str) -> Dict[str, Any]:
    """Return the fields of an event, its data decoded."""
    fields = dict(line.split(": ", 1) for line in chunk.strip().split("\n"))
    return {**fields, "data": json.loads(fields["data"])}


@on_the_embedded_broker
async def test_events_of_a_job(app: FastAPI, worker: GoWorker) -> None:
    """A stream tells each change, and ends when the job has ended."""
    async with running(app) as client:
        job_id = await client.submit_job("work", 1)
        async with Exchange(app, f"GET /jobs/{job_id}/events") as exchange:
            start = await exchange.message()
            assert start is not None
            headers = dict(start["headers"])
            assert headers[b"content-type"].startswith(b"text/event-stream")
            assert headers[b"cache-control"] == b"no-store"
            assert b"content-length" not in headers
            assert await exchange.chunk() == "retry: 2000\n\n"
            queued = parsed(await exchange.chunk())
            assert (queued["event"], queued["data"]["place"]) == ("queued", "queued")
            worker.take()
            assert parsed(await exchange.chunk())["event"] == "taken"
            worker.store_failure(job_id, "geheim")
            worker.retry_later(job_id, "geheim")
            failed = parsed(await exchange.chunk())
            assert (failed["event"], failed["data"]["attempts"]) == ("attempt-failed", 1)
            assert "last_error" not in failed["data"]
            worker.store_success(job_id, '[7, {"n": 1e400}]')
            worker.complete(job_id)
            last = parsed(await exchange.chunk())
            assert (last["event"], last["data"]["result"]) == ("finished", [7, {"n": None}])
            assert await exchange.chunk() == ""
        assert client.stats().waits == 0
        path = f"GET /jobs/{job_id}/events"
        assert (await ask(app, path, {"Last-Event-ID": last["id"]})).status == 204
        again = await ask(app, path, {"Last-Event-ID": failed["id"]})
        assert parsed(again.body.decode().split("\n\n")[1]) == last


@on_the_embedded_broker
async def test_a_stream_goes_on(app: FastAPI) -> None:
    """Who connects again isn't told the same twice, silence is filled, and who leaves is let go."""
    async with running(app) as client:
        job_id = await client.submit_job("work", 1)
        path = f"GET /jobs/{job_id}/events?keep_alive=0.01"
        async with Exchange(app, path) as exchange:
            await exchange.chunk()
            queued = parsed(await exchange.chunk())
            assert await exchange.chunk() == ": keep-alive\n\n"
        assert client.stats().waits == 0
        async with Exchange(app, path, {"Last-Event-ID": queued["id"]}) as exchange:
            assert await exchange.chunk() == "retry: 2000\n\n"
            assert await exchange.chunk() == ": keep-alive\n\n"
        assert client.stats().waits == 0
