"""Django: the client of a project, submits after a commit, system checks, the command."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import json
import os
import signal
import threading
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import django
import pytest
from django.conf import settings as project
from django.core.asgi import get_asgi_application
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient as AsyncHTTP
from django.test import Client as HTTP
from django.test.runner import DiscoverRunner
from django.test.utils import override_settings

from bananas import (
    ConnectionError,
    JobPlace,
    JobSpec,
    JobType,
    SerializationError,
    TimeoutError,
)
from bananas.django import (
    _events,
    get_async_client,
    get_client,
    job_events,
    submit_failed,
    submit_job_on_commit,
    submit_on_commit,
)
from bananas.django.middleware import JobErrorMiddleware
from bananas.testing import LocalQueue, fail
from tests.behaviour.broker import Broker
from tests.behaviour.event_streams import asgi_server, check_events, wsgi_server
from tests.behaviour.programs import ROOT
from tests.behaviour.served import Served, ask
from tests.support import RedisServer, SentinelServer, wait_until
from tests.support.ports import HOST, free_port

SITE = ROOT / "examples" / "django_site"
LIST = "queue:normal"
NOBODY = {"URL": "redis://127.0.0.1:1", "CONNECT_TIMEOUT": 0.05}
REPORT: JobType[Dict[str, str], str] = JobType("report", payload=Dict[str, str], result=str)
_PATIENCE = 60.0


@pytest.fixture(scope="module")
def site(
    embedded_session: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tuple[Broker, str]]:
    """The example, in this process, on the embedded broker; and the path of its database."""
    database = str(tmp_path_factory.mktemp("shop") / "shop.sqlite3")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SITE))
        patch.setenv("BANANAS_REDIS_URL", embedded_session.url)
        patch.setenv("DJANGO_SETTINGS_MODULE", "shop.settings")
        patch.setenv("SHOP_DATABASE", database)
        django.setup()
        project.ALLOWED_HOSTS.append("testserver")
        call_command("migrate", run_syncdb=True, verbosity=0)
        # Made anew, where a process runs other tests in between, it keeps its first settings.
        yield embedded_session, str(project.DATABASES["default"]["NAME"])
        connection.close()


@pytest.fixture
def broker(site: Tuple[Broker, str]) -> Iterator[Broker]:
    """The empty embedded broker, which the client of the site is about to use."""
    broker, _ = site
    broker.flush()
    with override_settings(BANANAS={"URL": broker.url}):
        yield broker
    wait_until(lambda: broker.connections() == 0, "no connection is left", 10)


@pytest.fixture
def worker(broker: Broker) -> Iterator[LocalQueue]:
    with LocalQueue(broker.url) as queue:
        queue.handle("report", lambda job: f"the report of {job.payload['month']}")
        yield queue


# -- the example ---------------------------------------------------------------------------------


def test_a_view_that_blocks_and_one_that_awaits(worker: LocalQueue) -> None:
    """Under WSGI each request to the async view has an event loop of its own."""
    http = HTTP()
    for month in ("2025-01", "2025-02"):
        ordered = http.post("/reports", {"month": month})
        assert ordered.status_code == 202
        fetched = http.get(ordered["Location"])
        assert fetched.json() == {"report": f"the report of {month}"}


async def test_the_same_under_asgi(worker: LocalQueue) -> None:
    """Under ASGI the views share one loop, and the view that blocks runs in a thread."""
    http = AsyncHTTP()
    ordered = await http.post("/reports", {"month": "2025-01"})
    assert ordered.status_code == 202
    fetched = await asyncio.gather(*(http.get(ordered["Location"]) for _ in range(3)))
    assert [one.json() for one in fetched] == [{"report": "the report of 2025-01"}] * 3


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_events_of_a_job(broker: Broker, interface: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream tells each change over real HTTP, and ends with the job or with its caller."""
    from shop import views

    monkeypatch.setattr(views, "job_events", functools.partial(job_events, keep_alive=0.05))
    job_id = get_client().submit_job("report", {})
    serve, application = wsgi_server, get_wsgi_application()
    if interface == "asgi":
        serve, application = asgi_server, get_asgi_application()
    with serve(application) as port:
        lets_go = interface == "wsgi" or django.VERSION >= (5, 0)
        check_events(port, f"/reports/{job_id}/events", job_id, broker, lets_go=lets_go)


async def test_where_django_does_not_tell_who_leaves(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream ends after a while, without an event; whoever is there connects again."""
    monkeypatch.setattr(_events, "_TELLS_WHO_LEAVES", False)
    monkeypatch.setattr(_events, "_LONGEST", 0.01)
    job_id = await get_async_client().submit_job("report", {})
    answer = await AsyncHTTP().get(f"/reports/{job_id}/events")
    first, *others = [chunk async for chunk in answer.streaming_content]
    assert first == b"retry: 2000\n\n"
    assert [chunk.split(b"\n")[1] for chunk in others] == [b"event: queued"]


async def test_a_server_that_stops(broker: Broker) -> None:
    """Under ASGI it need not wait for its streams, which end as soon as it is told to stop."""
    told: List[int] = []
    handler = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        own = signal.getsignal(signal.SIGTERM)
        job_id = await get_async_client().submit_job("report", {})
        answers = [await AsyncHTTP().get(f"/reports/{job_id}/events") for _ in range(2)]
        streams: List[Any] = [answer.streaming_content for answer in answers]
        for stream in streams:
            assert await stream.__anext__() == b"retry: 2000\n\n"
            assert b"event: queued" in await stream.__anext__()
        signal.raise_signal(signal.SIGTERM)
        for stream in streams:
            assert [chunk async for chunk in stream] == []
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert told == [signal.SIGTERM]
    wait_until(lambda: broker.subscribers(job_id) == 0, "nobody follows it", _PATIENCE)


def test_gunicorn_preload(site: Tuple[Broker, str], worker: LocalQueue, tmp_path: Path) -> None:
    """Its workers, which are forked after the site was loaded, serve both kinds of view."""
    port = free_port()
    options = ["--preload", "--workers", "2", "--bind", f"{HOST}:{port}", "shop.wsgi"]
    variables = {"BANANAS_REDIS_URL": worker.url, "SHOP_DATABASE": site[1]}
    with Served(
        *("gunicorn", *options), folder=SITE, log=tmp_path / "log",
        ready="Booting worker", times=2, **variables,
    ) as server:  # fmt: skip
        ordered = ask(port, "POST", "/reports", "month=2025-03")
        assert ordered.status == 202
        for _ in range(3):
            fetched = ask(port, "GET", ordered.headers["Location"])
            assert fetched.json == {"report": "the report of 2025-03"}
        server.end()


def test_the_tests_of_the_example_pass(site: object) -> None:
    """As ``manage.py test`` runs them, on a database and a queue of their own."""
    with redirect_stderr(io.StringIO()) as report:
        failures = DiscoverRunner(verbosity=1, interactive=False).run_tests(["shop"])
    assert failures == 0, report.getvalue()
    assert "Ran 1 test" in report.getvalue()


async def test_an_error_becomes_the_answer(
    worker: LocalQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of views that block and that await, with what a caller can do about it, and no host."""
    worker.handle("broken", fail("secret reason"))
    http = AsyncHTTP()
    assert (await http.get("/reports/no-such-job")).status_code == 404
    assert (await http.get("/reports/no%20id")).status_code == 404
    job_id = await get_async_client().submit_job("broken", {}, max_retries=1)
    failed = await http.get(f"/reports/{job_id}")
    assert (failed.status_code, failed["Content-Type"]) == (502, "application/problem+json")
    assert "secret" not in failed.content.decode()
    monkeypatch.setattr(transaction, "atomic", contextlib.nullcontext)
    with override_settings(BANANAS=NOBODY):
        down = await http.post("/reports", {"month": "2025-01"})
    assert (down.status_code, down["Retry-After"]) == (503, "5")
    assert "127.0.0.1" not in down.content.decode()


def test_a_subclass_says_where_a_job_is(site: object) -> None:
    """An answer that a job goes on leads there; errors of others are left to Django."""

    class Middleware(JobErrorMiddleware):
        def job_url(self, request: HttpRequest, job_id: str) -> str:
            return f"/reports/{job_id}"

    middleware = Middleware(lambda request: HttpResponse())
    error = TimeoutError("late", job_id="a", whereabouts=JobPlace.QUEUED)
    answer = middleware.process_exception(HttpRequest(), error)
    assert answer is not None
    assert (answer.status_code, answer["Location"]) == (202, "/reports/a")
    assert json.loads(answer.content)["place"] == "queued"
    assert middleware.process_exception(HttpRequest(), LookupError("theirs")) is None


# -- submits after the commit --------------------------------------------------------------------


def test_a_job_is_submitted_after_the_commit(broker: Broker) -> None:
    """Its id is there at once, the job after the commit, with what the payload was before."""
    payload = {"month": "2025-01"}
    with transaction.atomic():
        first = submit_job_on_commit("report", payload, "high", "a report", max_retries=1)
        second = submit_on_commit(REPORT, payload, job_id="mine")
        payload["month"] = "changed"
        assert broker.keys() == []
    assert broker.queued("queue:high") == [first]
    assert (broker.queued(LIST), second) == (["mine"], "mine")
    for job_id in (first, second):
        assert broker.job(job_id)["payload"] == {"month": "2025-01"}
    assert broker.job(first)["max_retries"] == 1


def test_a_rollback_submits_nothing(broker: Broker) -> None:
    """Neither that of the transaction nor that of a savepoint; the rest is submitted."""

    def fail() -> None:
        with transaction.atomic():
            submit_job_on_commit("report", {})
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with transaction.atomic():
        kept = submit_job_on_commit("report", {})
        with pytest.raises(LookupError):
            fail()
    assert broker.queued(LIST) == [kept]


def test_without_a_transaction_it_is_submitted_at_once(broker: Broker) -> None:
    job_id = submit_job_on_commit("report", {})
    assert broker.queued(LIST) == [job_id]
    with override_settings(BANANAS=NOBODY), pytest.raises(ConnectionError):
        submit_job_on_commit("report", {})


def test_mistakes_are_found_before_the_commit(broker: Broker) -> None:
    """The transaction can still be rolled back then."""
    with transaction.atomic():
        with pytest.raises(SerializationError, match="set"):
            submit_job_on_commit("report", {1, 2})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="priority"):
            submit_job_on_commit("report", {}, "urgent")  # type: ignore[arg-type]
        with pytest.raises(SerializationError, match="month"):
            submit_on_commit(REPORT, {"month": 1})  # type: ignore[dict-item]
    assert broker.keys() == []


def test_an_error_after_the_commit_is_logged_and_told(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends nothing else; whoever listens can keep the job, and submit it later."""
    told: List[JobSpec] = []

    def keep(sender: object, spec: JobSpec, error: Exception, **_: Any) -> None:
        assert isinstance(error, ConnectionError)
        told.append(spec)

    submit_failed.connect(keep)
    try:
        with override_settings(BANANAS=NOBODY), transaction.atomic():
            ids = [submit_job_on_commit("report", {"n": n}) for n in range(2)]
        with override_settings(BANANAS=NOBODY), pytest.raises(ConnectionError):
            with transaction.atomic():
                ids.append(submit_job_on_commit("report", {"n": 2}, robust=False))
    finally:
        submit_failed.disconnect(keep)
    logged = [record.message for record in caplog.records if record.name == "bananas.django"]
    for job_id, message in zip(ids, logged):
        assert f"after the commit, job {job_id} (report) could not be submitted" in message
    assert len(logged) == len(ids)
    assert [spec.job_id for spec in told] == ids
    assert get_client().submit_jobs(told) == ids
    assert broker.queued(LIST) == ids


# -- the client ----------------------------------------------------------------------------------


def test_one_client_serves_threads_and_loops(broker: Broker) -> None:
    """Of any kind of code, and it is made anew where a test changes the setting."""
    found = [get_client() for _ in range(2)]
    thread = threading.Thread(target=lambda: found.append(get_client()))
    thread.start()
    thread.join(10)
    assert set(found) == {get_client()}
    assert get_async_client() is get_async_client()
    ids = [asyncio.run(get_async_client().submit_job("work", n)) for n in range(2)]
    assert broker.queued(LIST) == ids
    with override_settings(BANANAS={"URL": broker.url, "ROUTING_KEY": "eu"}):
        assert get_client() not in found
        routed = asyncio.run(get_async_client().submit_job("work", 1))
        assert broker.queued("route:eu:queue:normal") == [routed]


def test_a_client_is_made_without_redis(site: object) -> None:
    """Commands that need no queue need no Redis; the first call says what is wrong."""
    with override_settings(BANANAS=NOBODY):
        client = get_client()
        with pytest.raises(ConnectionError):
            client.submit_job("work", 1)
        with pytest.raises(ConnectionError):
            asyncio.run(get_async_client().submit_job("work", 1))


def to_text(value: object) -> str:
    return f"text of {value}"


class Provider:
    """Gives a password."""

    asked = 0

    def get_credentials(self) -> Tuple[str, str]:
        Provider.asked += 1
        return ("user", "secret")


def test_settings_may_name_python_objects(broker: Broker) -> None:
    """As dotted paths, as Django's own settings do."""
    found = {"URL": broker.url, "JSON_DEFAULT": f"{__name__}.to_text", "CONNECT_TIMEOUT": 1.5}
    with override_settings(BANANAS=found):
        job_id = get_client().submit_job("work", {1})  # type: ignore[arg-type]
        assert broker.job(job_id)["payload"] == "text of {1}"


# -- the checks ----------------------------------------------------------------------------------

each_mistake = pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"URL": "http://localhost"}, ["E002", "BANANAS['URL'] must start with redis://"]),
        ({"URL": None}, ["E002", "not NoneType (is the environment variable"]),
        ({"CONNECT_TIMEOUT": "5"}, ["E002", "BANANAS['CONNECT_TIMEOUT'] must be seconds"]),
        ({"URI": "redis://x"}, ["E001", "no setting 'URI'; did you mean 'URL'?"]),
        ({"redis_url": "redis://x"}, ["E001", "did you mean 'URL'?"]),
        ({"ROUTE": "eu"}, ["E001", "did you mean 'ROUTING_KEY'?"]),
        ({"EGGS": 1}, ["E001", "it has "]),
        ("redis://localhost", ["E001", "must be a dictionary"]),
        ({"JSON_DEFAULT": "no.such.thing"}, ["E002", "which can't be imported"]),
        ({"SENTINELS": [["h", 26379]]}, ["E002", "has 'SENTINELS', but no 'SERVICE_NAME'"]),
    ],
)


@each_mistake
def test_the_checks_find_a_mistake(site: object, setting: Any, words: List[str]) -> None:
    """So does the first use, in the same words."""
    with override_settings(BANANAS=setting):
        (error,) = run_checks()
        assert error.id == f"bananas.{words[0]}"
        for word in words[1:]:
            assert word in error.msg
        with pytest.raises(ImproperlyConfigured) as caught:
            get_client()
        assert f"{caught.value}." == error.msg


def test_every_mistake_is_told(site: object) -> None:
    with override_settings(BANANAS={"URI": 1, "ROUTE": 2}):
        assert [error.id for error in run_checks()] == ["bananas.E001"] * 2


def test_a_missing_setting_is_told(site: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the environment has the URL, which is checked as well."""
    with override_settings():
        del project.BANANAS
        assert run_checks() == []
        monkeypatch.setenv("BANANAS_REDIS_URL", "nonsense")
        assert [error.id for error in run_checks()] == ["bananas.E002"]
        monkeypatch.delenv("BANANAS_REDIS_URL")
        assert [error.id for error in run_checks()] == ["bananas.W001"]


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ({"URL": "redis://localhost"}, []),
        ({"URL": "redis://[::1]:6379"}, []),
        ({"URL": "unix:///run/redis.sock"}, []),
        ({"URL": "rediss://:secret@redis.example.org"}, []),
        ({"URL": "rediss://redis.example.org"}, ["W003"]),
        ({"URL": "rediss://h", "CREDENTIAL_PROVIDER": f"{__name__}.Provider"}, []),
        ({"URL": "redis://:secret@10.0.0.7"}, ["W002"]),
        ({"SENTINELS": [("10.0.0.7", 26379)], "SERVICE_NAME": "primary"}, ["W002", "W003"]),
    ],
)
def test_a_deployment_is_warned(site: object, setting: Any, found: List[str]) -> None:
    """What others on the network could read or use is told, and no password with it."""
    with override_settings(BANANAS=setting):
        messages = run_checks(include_deployment_checks=True)
    ours = [message for message in messages if str(message.id).startswith("bananas.")]
    assert [message.id for message in ours] == [f"bananas.{name}" for name in found]
    assert "secret" not in str(ours)


# -- the command ---------------------------------------------------------------------------------


def command(*arguments: str) -> Tuple[int, str, str]:
    """Run ``manage.py bananas`` in this process: its status, and what it has written."""
    from django.core.management import ManagementUtility

    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        with pytest.raises(SystemExit) as caught:
            ManagementUtility(["manage.py", "bananas", *arguments]).execute()
    return int(caught.value.code or 0), out.getvalue(), err.getvalue()


def test_the_command_uses_the_settings(broker: Broker) -> None:
    """The URL, the prefix and the route are theirs; the environment is as it was."""
    found = {"URL": broker.url, "ROUTING_KEY": "eu", "KEY_PREFIX": "shop:"}
    before = dict(os.environ)
    with override_settings(BANANAS=found):
        status, out, err = command(
            "submit", "work", "[1]", "--quiet", "--settings", "shop.settings"
        )
        assert (status, err) == (0, "")
        job = get_client().get_job(out.strip())
        assert job is not None
        assert (job.payload, job.routing_key) == ([1], "eu")
        assert command("job", "nobody")[0] == 5
        assert "manage.py bananas" in command("--help")[1]
    assert dict(os.environ) == before


def test_call_command(broker: Broker) -> None:
    """A program runs it as any other command; a status is what it is in a shell."""
    with redirect_stdout(io.StringIO()) as out:
        call_command("bananas", "submit", "work", "1", "--quiet")
    assert broker.queued(LIST) == [out.getvalue().strip()]
    with redirect_stderr(io.StringIO()), pytest.raises(SystemExit):
        call_command("bananas", "job", "nobody")


def test_the_command_knows_all_settings(broker: Broker) -> None:
    """Sentinels and credentials too; with a URL of its own it is told of no credentials."""
    sentinels = {"SENTINELS": [["127.0.0.1", 1]], "SERVICE_NAME": "primary", "CONNECT_TIMEOUT": 1}
    with override_settings(BANANAS=sentinels):
        status, _, err = command("queues")
        assert (status, "sentinel" in err, "127.0.0.1:1" in err) == (1, True, True), err
        assert command("queues", "--redis", broker.url)[0] == 0
        with redirect_stderr(io.StringIO()), pytest.raises(SystemExit):
            call_command("bananas", "queues")
    credentials = {"URL": broker.url, "CREDENTIAL_PROVIDER": f"{__name__}.Provider"}
    with override_settings(BANANAS=credentials):
        Provider.asked = 0
        command("queues")
        assert Provider.asked
        Provider.asked = 0
        assert command("queues", "--redis", broker.url)[0] == 0
        assert not Provider.asked
    with override_settings(BANANAS={"URL": broker.url, "ROUTING_KEY": "eu"}):
        assert "--route must" in command("submit", "work", "--route", "e u")[2]


@pytest.mark.real_server
def test_a_real_sentinel(site: object) -> None:
    """Views and the command find the primary, with the password of the URL, and the same jobs."""
    with RedisServer(password="a-password") as primary, SentinelServer(primary) as sentinel:
        settings = {
            "URL": "redis://:a-password@",
            "SENTINELS": [[HOST, free_port()], [HOST, sentinel.port]],
            "SERVICE_NAME": sentinel.name,
        }
        with override_settings(BANANAS=settings):
            status, out, err = command("submit", "work", "1", "--quiet")
            assert (status, err) == (0, "")
            assert get_client().queue.depths().total_queued == 1
            found = command("job", out.strip(), "--json")
            assert (found[0], json.loads(found[1])["place"]) == (0, "queued")


def test_the_command_says_which_setting_is_wrong(site: object) -> None:
    with override_settings(BANANAS={"URL": 3}):
        assert "BANANAS['URL'] must be a string" in command("queues")[2]
