"""Flask: the extension, its error handlers, and the example."""

from __future__ import annotations

import gc
import importlib.util
import signal
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Iterator, List

import pytest
from flask import Flask, current_app

from bananas import ConnectionError, JobPlace, TimeoutError
from bananas.flask import Bananas
from bananas.testing import LocalQueue, fail
from tests.behaviour.broker import Broker
from tests.behaviour.event_streams import check_events, wsgi_server
from tests.behaviour.programs import ROOT
from tests.behaviour.served import Served, ask
from tests.support import wait_until
from tests.support.ports import free_port

FOLDER = ROOT / "examples" / "flask_app"

_made: List[Flask] = []


@pytest.fixture
def broker(embedded_session: Broker) -> Iterator[Broker]:
    embedded_session.flush()
    yield embedded_session
    for app in _made:
        if "bananas" in app.extensions:
            app.extensions["bananas"].close()
    _made.clear()
    wait_until(lambda: embedded_session.connections() == 0, "no connection is left", 10)


@pytest.fixture
def worker(broker: Broker) -> Iterator[LocalQueue]:
    with LocalQueue(broker.url) as queue:
        queue.handle("report", lambda job: f"the report of {job.payload['month']}")
        yield queue


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flask_reports", str(FOLDER / "reports.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_app(**settings: Any) -> Flask:
    """Return an application whose client is closed with the test."""
    app = Flask("shop")
    app.config["BANANAS"] = settings
    _made.append(app)
    return app


def test_the_example(worker: LocalQueue, example: ModuleType) -> None:
    """A job is ordered and its report fetched; errors are answered with what a caller can do."""
    worker.handle("broken", fail("secret reason"))
    app = example.create_app({"BANANAS": {"URL": worker.url}})
    _made.append(app)
    with app.test_client() as http:
        ordered = http.post("/reports", data={"month": "2025-01"})
        assert ordered.status_code == 202
        fetched = http.get(ordered.headers["Location"])
        assert fetched.get_json() == {"report": "the report of 2025-01"}
        missing = http.get("/reports/no-such-job")
        assert (missing.status_code, missing.content_type) == (404, "application/problem+json")
        for no_id in ("no%20id", "%00", "%C3%A4", "x" * 257, "no%20id/events"):
            assert http.get(f"/reports/{no_id}").status_code == 404
        with app.app_context():
            job_id = example.bananas.client.submit_job("broken", {}, max_retries=1)
        failed = http.get(f"/reports/{job_id}")
        assert failed.status_code == 502
        assert "secret" not in failed.get_data(as_text=True)


def test_the_example_over_http(worker: LocalQueue, tmp_path: Path) -> None:
    """Started as the page says, with the URL in Flask's own kind of variable."""
    port = free_port()
    with Served(
        *("flask", "--app", "reports", "run", "--port", str(port)), folder=FOLDER,
        log=tmp_path / "log", ready="Running on", FLASK_BANANAS__URL=worker.url,
    ) as server:  # fmt: skip
        ordered = ask(port, "POST", "/reports", "month=2025-03")
        fetched = ask(port, "GET", ordered.headers["Location"])
        assert fetched.json == {"report": "the report of 2025-03"}
        server.end(-signal.SIGTERM)


def test_events_of_a_job(broker: Broker) -> None:
    """A stream tells each change over real HTTP, and ends with the job or with its caller."""
    app = make_app(URL=broker.url)
    bananas = Bananas(app, handle_errors=True)

    @app.get("/jobs/<job_id>/events")
    def follow(job_id: str) -> Any:
        return bananas.job_events(job_id, keep_alive=0.05, with_result=True)

    with app.app_context():
        job_id = bananas.client.submit_job("report", {})
    with wsgi_server(app) as port:
        check_events(port, f"/jobs/{job_id}/events", job_id, broker)


def test_each_application_has_its_client(broker: Broker) -> None:
    """One extension serves them all; whichever is current is meant."""
    bananas = Bananas()
    apps = [make_app(URL=broker.url, ROUTING_KEY=key) for key in ("eu", "us")]
    for app in apps:
        bananas.init_app(app)
    with apps[0].app_context():
        ids = [bananas.client.submit_job("work", 1)]
        found = [bananas.client]
        thread = threading.Thread(target=_note, args=(apps[0], bananas, found))
        thread.start()
        thread.join(10)
        assert found == [bananas.client] * 2
        with apps[1].app_context():
            ids.append(bananas.client.submit_job("work", 1))
            assert current_app.name == "shop"
    for key, job_id in zip(("eu", "us"), ids):
        assert broker.queued(f"route:{key}:queue:normal") == [job_id]


def test_an_application_that_is_forgotten_leaves_nothing_open(broker: Broker) -> None:
    """A factory that tests call for each of them needs no end."""
    app = make_app(URL=broker.url)
    _made.clear()
    bananas = Bananas(app)
    with app.app_context():
        bananas.client.submit_job("work", 1)
        bananas.client.get_job("a")
    assert broker.connections() == 2
    del app, bananas
    gc.collect()  # an application and its parts refer to each other
    wait_until(lambda: broker.connections() == 0, "both are closed", 10)


def _note(app: Flask, bananas: Bananas, found: List[object]) -> None:
    with app.app_context():
        found.append(bananas.client)


def test_an_async_view_has_a_loop_of_its_own(broker: Broker) -> None:
    """In each request it is another one."""
    app = make_app(URL=broker.url)
    bananas = Bananas(app)

    @app.post("/work")
    async def work() -> Dict[str, str]:
        return {"job_id": await bananas.async_client.submit_job("work", 1)}

    with app.test_client() as http:
        ids = [http.post("/work").get_json()["job_id"] for _ in range(3)]
    assert broker.queued("queue:normal") == ids


def test_an_error_of_ours_is_answered_if_asked_for(broker: Broker) -> None:
    """Without being asked, the extension leaves errors to the application."""
    errors = [
        TimeoutError("late", job_id="a", whereabouts=JobPlace.QUEUED),
        ConnectionError("no redis at 10.0.0.7"),
    ]

    def view(number: int) -> str:
        raise errors[number]

    app = make_app(URL=broker.url)
    app.add_url_rule("/<int:number>", "view", view)
    app.add_url_rule("/jobs/<job_id>", "job", lambda job_id: job_id)
    Bananas(app, handle_errors=True, job_endpoint="job", retry_after=7)
    http = app.test_client()
    late, down = http.get("/0"), http.get("/1")
    assert (late.status_code, late.headers["Location"]) == (202, "/jobs/a")
    assert late.get_json()["place"] == "queued"
    assert (down.status_code, down.headers["Retry-After"]) == (503, "7")
    assert "10.0.0.7" not in down.get_data(as_text=True)
    plain = make_app(URL=broker.url)
    plain.add_url_rule("/<int:number>", "view", view)
    Bananas(plain)
    assert plain.test_client().get("/0").status_code == 500


def test_mistakes_are_found_when_the_application_is_made(broker: Broker) -> None:
    """A wrong setting, a second extension, no extension, no application."""
    with pytest.raises(ValueError, match="BANANAS has no setting 'URI'; did you mean 'URL'?"):
        Bananas(make_app(URI=broker.url))
    with pytest.raises(ValueError, match=r"BANANAS\['URL'\] must start with redis://"):
        Bananas(make_app(URL="http://localhost"))
    app, other = make_app(URL=broker.url), make_app(URL=broker.url)
    bananas = Bananas(app)
    with pytest.raises(RuntimeError, match="'shop' has this extension already"):
        Bananas(app)
    with other.app_context(), pytest.raises(RuntimeError, match=r"call init_app\(app\)"):
        _ = bananas.client
    with pytest.raises(RuntimeError, match="application context"):
        _ = bananas.client
