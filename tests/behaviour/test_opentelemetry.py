"""Spans and metrics of both clients, by the messaging conventions, with ids and no payload."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
from datetime import timedelta
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Optional, Tuple

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from bananas import (
    AsyncClient,
    Client,
    Job,
    JobExistsError,
    JobNotFoundError,
    JobSpec,
    JobType,
    OutcomeUnknownError,
    TimeoutError,
)
from bananas._awaited_calls import AwaitedClient
from bananas.client import AsCompleted, JobChanges
from bananas.opentelemetry import instrument, uninstrument
from bananas.sync import BlockingJobChanges, CompletedResults
from bananas.testing import LocalQueue
from tests.behaviour.broker import Broker
from tests.support import wait_until

SECRET = "s3cret-payload"
_CALLS: List[Tuple[str, str]] = [
    ("submit_job", "send"),
    ("submit_job_scheduled", "send"),
    ("submit", "send"),
    ("wait_for_result", "receive"),
    ("get_result", "receive"),
    ("submit_and_wait", "send"),
    ("call", "send"),
]
WORK: JobType[Any, Any] = JobType("work", payload=Dict[str, Any], result=str)


class Recorded:
    """Providers that keep what they are given."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)

    def instrument(self, client: Any, member: Optional[str] = None) -> Any:
        return instrument(
            client,
            tracer_provider=self.tracers,
            meter_provider=self.meters,
            context_member=member,
        )

    def spans(self) -> List[ReadableSpan]:
        """The spans that have ended since the last time."""
        found = list(self._exporter.get_finished_spans())
        self._exporter.clear()
        return found

    def points(self) -> Dict[str, List[Any]]:
        """The points of each metric."""
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def text(self) -> str:
        return "".join(span.to_json() for span in self.spans()) + str(self.points())


@pytest.fixture
def recorded() -> Recorded:
    """What is recorded in a test."""
    return Recorded()


@pytest.fixture
def queue(embedded_session: Broker) -> Iterator[LocalQueue]:
    """A queue with a handler that succeeds."""
    embedded_session.flush()
    with LocalQueue(embedded_session.url) as queue:
        queue.handle("work", lambda job: "done")
        yield queue


@pytest.fixture
def real_queue(real_broker: Broker) -> Iterator[LocalQueue]:
    """The same on the real Redis, for what runs scripts."""
    with LocalQueue(real_broker.url) as queue:
        queue.handle("work", lambda job: "done")
        queue.handle("rotten", _rot)
        yield queue


@contextlib.asynccontextmanager
async def _opened(kind: str, url: str) -> AsyncIterator[Tuple[Any, Callable[..., Any]]]:
    """Yield a client, and what calls a method of it."""
    loop = asyncio.get_running_loop()

    async def in_thread(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return await loop.run_in_executor(None, lambda: call(*args, **options))

    async def awaited(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        found = call(*args, **options)
        return await found if inspect.isawaitable(found) else found

    if kind == "async":
        async with AsyncClient(url) as client:
            yield client, awaited
        return
    blocking = await in_thread(Client, url)
    try:
        if kind == "blocking":
            yield blocking, in_thread
        else:
            yield AwaitedClient(blocking), awaited
    finally:
        await in_thread(blocking.close)


each_kind = pytest.mark.parametrize("kind", ["async", "blocking", "awaited"])


@each_kind
async def test_every_call(kind: str, queue: LocalQueue, recorded: Recorded) -> None:
    """Each call is one span, with the names that the conventions give, and the id of its job."""
    async with _opened(kind, queue.url) as (client, run):
        recorded.instrument(client)
        payload = {"text": SECRET}
        ids = [
            await run(client.submit_job, "work", payload),
            await run(client.submit_job_scheduled, "work", payload, scheduled_for=_soon()),
            await run(client.submit, WORK, payload),
        ]
        ids.append((await run(client.wait_for_result, ids[0])).job_id)
        ids.append((await run(client.get_result, ids[0])).job_id)
        ids.append((await run(client.submit_and_wait, "work", payload)).job_id)
        assert await run(client.call, WORK, payload) == "done"
        spans = recorded.spans()
        points = recorded.points()
    assert [span.name for span in spans] == [f"{operation} work" for operation, _ in _CALLS]
    for span, (operation, kind_of_operation), job_id in zip(spans, _CALLS, [*ids, None]):
        found = dict(span.attributes or {})
        assert found["messaging.message.id"] == job_id or job_id is None
        assert found["messaging.system"] == "bananas"
        assert f"{found['server.address']}:{found['server.port']}" in queue.url
        assert found["messaging.operation.name"] == operation
        assert found["messaging.operation.type"] == kind_of_operation
        assert found["messaging.destination.name"] == "work"
        sends = kind_of_operation == "send"
        assert span.kind is (SpanKind.PRODUCER if sends else SpanKind.CLIENT)
        assert SECRET not in span.to_json()
    submit, wait = spans[0], spans[3]
    assert submit.context is not None
    assert [link.context.span_id for link in wait.links] == [submit.context.span_id]
    assert sum(point.value for point in points["messaging.client.sent.messages"]) == 5
    assert sum(point.value for point in points["messaging.client.consumed.messages"]) == 4
    durations = points["messaging.client.operation.duration"]
    assert sum(point.count for point in durations) == len(_CALLS)
    assert durations[0].explicit_bounds[0] == 0.005
    assert "messaging.message.id" not in str(points)
    assert points["bananas.client.pending_waits"][0].value == 0
    assert points["bananas.client.round_trips"][0].value > 0


def _soon() -> Any:
    return timedelta(0)


@each_kind
async def test_context_in_payloads(kind: str, queue: LocalQueue, recorded: Recorded) -> None:
    """Where it is asked for, an object has the context of its submit; nothing else is touched."""
    async with _opened(kind, queue.url) as (client, run):
        recorded.instrument(client, "trace")
        specs = [JobSpec("work", {"n": 1}), JobSpec("work", "text")]
        ids = [
            await run(client.submit_job, "work", {"n": 1}),
            await run(client.submit, WORK, {"n": 1}),
            await run(client.submit, WORK, {"n": 1}, scheduled_for=_soon()),
            *await run(client.submit_jobs, specs),
            await run(client.submit_job, "work", [1]),
            await run(client.submit_job, "work", {"trace": "mine"}),
        ]
        batch = await run(client.submit_jobs, (spec for spec in specs))
        payloads = [(await run(client.get_job, job_id)).payload for job_id in [*ids, *batch]]
        assert await run(client.call, WORK, {"n": 1}) == "done"
    spans = recorded.spans()
    traced = [
        (payloads[index], spans[number]) for index, number in [(0, 0), (1, 1), (2, 2), (3, 3)]
    ]
    for payload, span in [*traced, (payloads[7], spans[6])]:
        assert span.context is not None
        assert payload["n"] == 1
        assert f"{span.context.span_id:016x}" in payload["trace"]["traceparent"]
    assert [payloads[4], payloads[5], payloads[6], payloads[8]] == [
        "text", [1], {"trace": "mine"}, "text",
    ]  # fmt: skip
    assert [dict(span.attributes or {}).get("messaging.batch.message_count") for span in spans] == [
        None, None, None, 2, None, None, 2, None,
    ]  # fmt: skip


async def test_async_specs(queue: LocalQueue, recorded: Recorded) -> None:
    """An async generator of specs gets the context too, and is closed after an error."""
    closed = False

    async def specs() -> AsyncIterator[Any]:
        nonlocal closed
        try:
            yield JobSpec("work", {"n": 1})
            yield "no spec"
        finally:
            closed = True

    async with AsyncClient(queue.url) as client:
        recorded.instrument(client, "trace")
        with pytest.raises(ValueError, match="JobSpec"):
            await client.submit_jobs(specs())
    assert closed
    (span,) = recorded.spans()
    assert dict(span.attributes or {})["error.type"] == "ValueError"


@each_kind
async def test_an_error(kind: str, queue: LocalQueue, recorded: Recorded) -> None:
    """An error is told by its type; its text stays with the caller."""
    async with _opened(kind, queue.url) as (client, run):
        recorded.instrument(client)
        with pytest.raises(TimeoutError):
            await run(client.wait_for_result, "not-there", 0)
        with pytest.raises(ValueError, match="JSON"):
            await run(client.submit_job, "work", {SECRET: float("nan")})
    wait, submit = recorded.spans()
    assert (wait.status.status_code, wait.status.description) == (StatusCode.ERROR, "TimeoutError")
    assert dict(wait.attributes or {})["messaging.message.id"] == "not-there"
    assert dict(submit.attributes or {})["error.type"] == "SerializationError"
    assert (wait.events, submit.events) == ((), ())
    points = recorded.points()
    assert "messaging.client.sent.messages" not in points  # nothing was sent
    durations = points["messaging.client.operation.duration"]
    assert {point.attributes["error.type"] for point in durations} == {
        "SerializationError", "TimeoutError",
    }  # fmt: skip


@each_kind
async def test_what_was_sent_before_an_error(
    kind: str, queue: LocalQueue, recorded: Recorded
) -> None:
    """Jobs that were sent count although their call fails, and no others."""
    async with _opened(kind, queue.url) as (client, run):
        recorded.instrument(client)
        taken = await run(client.submit_job, "work", None)
        with pytest.raises(JobExistsError):
            await run(client.submit_job, "work", None, job_id=taken, if_exists="raise")
        specs = [JobSpec("work", 1), JobSpec("work", 2, job_id=taken)]
        with pytest.raises(JobExistsError):
            await run(client.submit_jobs, specs, if_exists="raise")
        with pytest.raises(ValueError, match="JobSpec"):
            await run(client.submit_jobs, [JobSpec("work", 1), "no spec"])
    counts: Dict[Tuple[str, str], int] = {}
    for point in recorded.points()["messaging.client.sent.messages"]:
        error = str(point.attributes.get("error.type", ""))
        counts[str(point.attributes["messaging.operation.name"]), error] = point.value
        assert "messaging.operation.type" not in point.attributes
    assert counts == {
        ("submit_job", ""): 1, ("submit_job", "JobExistsError"): 1,
        ("submit_jobs", "JobExistsError"): 2,
    }  # fmt: skip


async def test_a_cancelled_call(queue: LocalQueue, recorded: Recorded) -> None:
    """A call that was cancelled is no error."""
    async with AsyncClient(queue.url) as client:
        recorded.instrument(client)
        waiting = asyncio.ensure_future(client.wait_for_result("not-there", None))
        while not client.stats().waits:
            await asyncio.sleep(0)
        assert recorded.points()["bananas.client.pending_waits"][0].value == 1
        waiting.cancel()
        await asyncio.wait([waiting])
    (span,) = recorded.spans()
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {})["error.type"] == "CancelledError"


async def test_an_error_with_an_id(
    queue: LocalQueue, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id of a job whose fate is unknown is in the span: nobody else has it."""

    async def submit(*_: object, **__: object) -> str:
        raise OutcomeUnknownError("who knows", job_id="j-1")

    async with AsyncClient(queue.url) as client:
        monkeypatch.setattr(client.queue, "_submit", submit)
        recorded.instrument(client)
        with pytest.raises(OutcomeUnknownError):
            await client.submit_job("work", None)
    (span,) = recorded.spans()
    assert dict(span.attributes or {})["messaging.message.id"] == "j-1"


@each_kind
async def test_what_is_not_instrumented(kind: str, queue: LocalQueue, recorded: Recorded) -> None:
    """Instrumenting leaves type and name as they are, is done once, and can be undone."""
    async with _opened(kind, queue.url) as (client, run):
        own, shown = type(client), repr(client)
        assert recorded.instrument(client) is client
        assert isinstance(client, own)
        assert (type(client).__name__, repr(client)) == (own.__name__, shown)
        with pytest.raises(ValueError, match="instrumented already"):
            recorded.instrument(client)
        uninstrument(client)
        uninstrument(client)
        assert type(client) is own
        await run(client.submit_job, "work", None)
        assert recorded.spans() == []
        with pytest.raises(ValueError, match="context_member"):
            recorded.instrument(client, "")
    with pytest.raises(TypeError, match="AsyncClient or a Client"):
        recorded.instrument(object())


async def _listed(run: Callable[..., Any], iterator: Any) -> List[Any]:
    if hasattr(iterator, "__aiter__"):
        return [item async for item in iterator]
    found: List[Any] = await run(list, iterator)
    return found


async def _left(run: Callable[..., Any], iterator: Any) -> None:
    if hasattr(iterator, "__anext__"):
        await iterator.__anext__()
        await iterator.aclose()
    else:
        await run(next, iterator)
        await run(iterator.close)


def _attributes(span: ReadableSpan) -> Dict[str, Any]:
    return dict(span.attributes or {})


@each_kind
async def test_iterators(kind: str, queue: LocalQueue, recorded: Recorded) -> None:
    """An iterator is one span from its first step to its end, linked to the submits."""
    async with _opened(kind, queue.url) as (client, run):
        recorded.instrument(client)
        ids = [await run(client.submit_job, "work", {"text": SECRET}) for _ in range(3)]
        submits = {span.context.span_id for span in recorded.spans() if span.context}
        assert recorded.spans() == []
        unused = await run(client.as_completed, ids)
        assert isinstance(unused, CompletedResults if kind == "blocking" else AsCompleted)
        followed = await run(client.watch, ids[0])
        assert isinstance(followed, BlockingJobChanges if kind == "blocking" else JobChanges)
        results = await _listed(run, await run(client.as_completed, iter(ids), timeout=30))
        assert {result.job_id for result in results} == set(ids)
        changes = await _listed(run, await run(client.watch, ids[0], timeout=30))
        await _left(run, await run(client.as_completed, ids))
        with pytest.raises(TimeoutError):
            await _listed(run, await run(client.as_completed, [ids[0], "not-there"], timeout=0))
        found = await run(client.get_results, [*ids, "not-there"])
        assert found[3] is None
        spans = recorded.spans()
        points = recorded.points()
        del unused
    assert recorded.spans() == []
    names = ["as_completed", "watch work", "as_completed", "as_completed", "get_results"]
    assert [span.name for span in spans] == names
    assert {span.kind for span in spans} == {SpanKind.CLIENT}
    assert {link.context.span_id for link in spans[0].links} == submits
    assert len(spans[1].links) == len(spans[3].links) == 1
    assert [_attributes(span).get("messaging.operation.type") for span in spans] == [
        "receive", None, "receive", "receive", "receive",
    ]  # fmt: skip
    counts = [_attributes(span).get("messaging.batch.message_count") for span in spans]
    assert counts == [3, None, 1, 1, 3]
    assert changes[-1].kind == "finished"
    assert _attributes(spans[1])["bananas.job.status"] == "completed"
    assert _attributes(spans[1])["messaging.message.id"] == ids[0]
    assert _attributes(spans[3])["error.type"] == "TimeoutError"
    assert sum(point.value for point in points["messaging.client.consumed.messages"]) == 8
    assert SECRET not in "".join(span.to_json() for span in spans)


@each_kind
async def test_an_iterator_that_is_forgotten(
    kind: str, queue: LocalQueue, recorded: Recorded
) -> None:
    """Left early and forgotten, its span ends all the same; a cancelled step does not end it."""
    async with _opened(kind, queue.url) as (client, run):
        recorded.instrument(client)
        job_id = await run(client.submit_job, "work", None)
        recorded.spans()
        iterator = await run(client.as_completed, [job_id, "not-there"], None)
        if kind == "blocking":
            await run(next, iterator)
        else:
            await iterator.__anext__()
            step = asyncio.ensure_future(iterator.__anext__())
            await asyncio.sleep(0)
            step.cancel()
            await asyncio.wait([step])
            del step
        assert recorded.spans() == []
        del iterator
        spans: List[ReadableSpan] = []

        def has_ended() -> bool:  # a thread that has run a call forgets it a moment later
            gc.collect()
            spans.extend(recorded.spans())
            return bool(spans)

        wait_until(has_ended, "the span of an iterator that is forgotten has ended")
    (span,) = spans
    assert span.status.status_code is StatusCode.UNSET
    assert _attributes(span)["messaging.batch.message_count"] == 1


@each_kind
async def test_operating(
    kind: str, real_queue: LocalQueue, real_broker: Broker, recorded: Recorded
) -> None:
    """Each call that changes something is a span, and so are those of the client's parts."""

    def is_dead() -> bool:
        return bool(real_broker.command("LLEN", "bananas:queue:dead") == 1)

    async with _opened(kind, real_queue.url) as (client, run):
        recorded.instrument(client)
        later = await run(client.submit_job_scheduled, "work", SECRET, scheduled_for=_in_days(1))
        failed = await run(client.submit_and_wait, "rotten", None, max_retries=1)
        done = await run(client.queue.enqueue, Job.create("work", {"text": SECRET}))
        job = Job.create("work", None)
        assert await run(client.queue.enqueue_scheduled, job, _in_days(1)) == job.id
        assert (await run(client.results.wait_for_result, done)).is_success
        wait_until(is_dead, "the job is a dead letter")
        submits = recorded.spans()
        await run(client.reschedule, later, _in_days(2))
        await run(client.cancel, later, reason=SECRET)
        await run(client.delete, later)
        await run(client.requeue, failed.job_id)
        await run(client.wait_for_result, failed.job_id)
        wait_until(is_dead, "the job is a dead letter again")
        counts = await run(client.dead_letters.requeue, all=True, dry_run=True)
        assert counts.done == 1
        await run(client.dead_letters.purge, all=True)
        await run(client.recover, 3600)
        report = await run(client.doctor, observe=0)
        await run(client.repair, report)
        await run(client.results.get_result, done)
        await run(client.results.get_results, [done])
        await run(client.results.delete_result, done)
        with pytest.raises(JobNotFoundError):
            await run(client.requeue, "not-there")
        await run(client.queue.depths)
        assert await run(client.queue.get_job, done)
        spans, text = recorded.spans(), recorded.text()
    assert [span.name for span in submits[2:]] == [
        "queue.enqueue work", "queue.enqueue_scheduled work", "results.wait_for_result work",
    ]  # fmt: skip
    assert [span.name for span in spans] == [
        "reschedule work", "cancel work", "delete work", "requeue rotten",
        "wait_for_result rotten", "dead_letters.requeue", "dead_letters.purge", "recover",
        "doctor", "repair", "results.get_result work", "results.get_results",
        "results.delete_result work", "requeue",
    ]  # fmt: skip
    outcomes = [_attributes(span).get("bananas.job.outcome") for span in spans[:4]]
    assert outcomes == ["rescheduled", "cancelled", "deleted", None]
    assert [_attributes(span).get("messaging.batch.message_count") for span in spans[5:10]] == [
        0, 1, 0, None, 0,
    ]  # fmt: skip
    assert {_attributes(span)["messaging.message.id"] for span in spans[:3]} == {later}
    assert {_attributes(span).get("messaging.operation.type") for span in spans[:4]} == {None}
    assert {span.kind for span in spans} == {SpanKind.CLIENT}
    assert len(spans[1].links) == 1
    assert _attributes(spans[-1])["error.type"] == "JobNotFoundError"
    assert SECRET not in text + "".join(span.to_json() for span in spans)


def _in_days(number: int) -> timedelta:
    return timedelta(days=number)


def _rot(job: Any) -> None:
    raise RuntimeError(SECRET)


async def test_a_part_is_that_of_the_client(queue: LocalQueue, recorded: Recorded) -> None:
    """A part of a recorded client keeps its type and remembers what that part does."""
    async with AsyncClient(queue.url) as client:
        part, shown = client.queue, repr(client.queue)
        recorded.instrument(client)
        assert isinstance(client.queue, type(part))
        assert (type(client.queue).__name__, repr(client.queue)) == ("RedisQueue", shown)
        assert vars(client.queue) is vars(part)
        uninstrument(client)
        assert client.queue is part
