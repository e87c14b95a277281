"""What is recorded of one call: a span, a duration, and counts of jobs."""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from concurrent.futures import CancelledError
from typing import Any, Dict, Iterable, Iterator, List, Optional, Union

from .. import exceptions as exc
from .._missing_extras import missing_extra
from .._redis import Endpoint
from .._version import __version__
from ..client import AsyncClient, ClientStats
from ..models import JobResult
from ..sync import Client

try:
    from opentelemetry import metrics, propagate, trace
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    raise missing_extra("bananas.opentelemetry", "opentelemetry-api", "otel") from error

__all__ = ["Call", "MeterProvider", "Recorder", "Telemetry", "TracerProvider"]

_SYSTEM = "bananas"
#: What the conventions ask for, in seconds.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
#: So many submits are remembered, to link the wait for a job to its submit.
_REMEMBERED = 10_000


class Telemetry:
    """The tracer and the instruments of one pair of providers.

    Args:
        tracer_provider: Makes the tracer; None is the global one.
        meter_provider: Makes the instruments; None is the global one.
    """

    def __init__(
        self, tracer_provider: Optional[TracerProvider], meter_provider: Optional[MeterProvider]
    ) -> None:
        self.tracer = trace.get_tracer("bananas", __version__, tracer_provider)
        meter = metrics.get_meter("bananas", __version__, meter_provider)
        self.duration = meter.create_histogram(
            "messaging.client.operation.duration",
            unit="s",
            description="Duration of a call of the client.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self.sent = meter.create_counter(
            "messaging.client.sent.messages",
            unit="{message}",
            description="Jobs whose submit was tried.",
        )
        self.consumed = meter.create_counter(
            "messaging.client.consumed.messages",
            unit="{message}",
            description="Results that were returned to callers.",
        )
        self._clients: weakref.WeakSet[Union[AsyncClient, Client]] = weakref.WeakSet()
        self.submits: Dict[str, _Submitted] = {}
        self._observe(meter)

    def _observe(self, meter: metrics.Meter) -> None:
        for name, field, text in (
            ("reconnects", "reconnects", "Connections that replaced a lost one."),
            ("round_trips", "pipelines", "Round trips that submits and reads shared."),
        ):
            meter.create_observable_counter(
                f"bananas.client.{name}", [_Sum(self, field)], unit="1", description=text
            )
        for name, field, text in (
            ("open_requests", "open_requests", "Submits and reads under way."),
            ("pending_waits", "waits", "Jobs that are waited for."),
        ):
            meter.create_observable_up_down_counter(
                f"bananas.client.{name}", [_Sum(self, field)], unit="1", description=text
            )
        meter.create_observable_counter(
            "bananas.client.results",
            [self._results],
            unit="{result}",
            description="Waits that ended with a result, by what found it.",
        )

    def watch(self, client: Union[AsyncClient, Client]) -> None:
        """Count a client among those that are observed, until it is forgotten."""
        self._clients.add(client)

    def forget(self, client: Union[AsyncClient, Client]) -> None:
        """Observe a client no more."""
        self._clients.discard(client)

    def stats(self) -> List[ClientStats]:
        """What the clients have done; closed blocking clients don't say."""
        found = []
        for client in list(self._clients):
            with contextlib.suppress(exc.ClientClosedError):
                if isinstance(client, Client):
                    client._connections.refuse_closed()
                    found.append(client._connections.stats())
                else:
                    found.append(client.stats())
        return found

    def _results(self, options: CallbackOptions) -> Iterable[Observation]:
        stats = self.stats()
        for name in ("notification", "safety_read"):
            total = sum(getattr(one, f"results_by_{name}") for one in stats)
            yield Observation(total, {"bananas.result.found_by": name})

    def remember(self, job_id: str, name: Optional[str], span: trace.Span) -> None:
        """Remember which span has submitted a job; the oldest ones are forgotten."""
        context = span.get_span_context()
        if not context.is_valid:
            return
        self.submits[job_id] = _Submitted(name, context)
        if len(self.submits) > _REMEMBERED:
            with contextlib.suppress(StopIteration, KeyError, RuntimeError):  # other threads do too
                del self.submits[next(iter(self.submits))]


class _Submitted:
    __slots__ = ("context", "name")

    def __init__(self, name: Optional[str], context: trace.SpanContext) -> None:
        self.name = name
        self.context = context


class _Sum:
    """Observes the sum of one field over all clients.

    Args:
        telemetry: Knows the clients.
        field: The field of their stats.
    """

    def __init__(self, telemetry: Telemetry, field: str) -> None:
        self._telemetry = telemetry
        self._field = field

    def __call__(self, options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(sum(getattr(one, self._field) for one in self._telemetry.stats()))


class Recorder:
    """Records the calls of one client.

    Args:
        telemetry: Where they are recorded.
        endpoint: Where the client finds Redis; None where Sentinel knows.
        member: The member of payloads that gets the trace context; None leaves payloads alone.
    """

    def __init__(
        self, telemetry: Telemetry, endpoint: Optional[Endpoint], member: Optional[str]
    ) -> None:
        self._telemetry = telemetry
        self.member = member
        self.server: Dict[str, Any] = {}
        if endpoint is not None:
            self.server["server.address"] = endpoint.path or endpoint.host
            if not endpoint.path:
                self.server["server.port"] = endpoint.port

    def forget(self, client: Union[AsyncClient, Client]) -> None:
        """Observe a client no more."""
        self._telemetry.forget(client)

    def remember(self, job_id: str, name: Optional[str], span: trace.Span) -> None:
        """Remember which span has submitted a job."""
        self._telemetry.remember(job_id, name, span)

    def count(self, call: Call, seconds: float) -> None:
        """Add a call to the metrics."""
        telemetry = self._telemetry
        telemetry.duration.record(seconds, call.attributes)
        if call.sends:
            telemetry.sent.add(call.sends, call.attributes)
        if call.takes:
            telemetry.consumed.add(call.takes, call.attributes)

    @contextlib.contextmanager
    def submit(self, operation: str, name: Optional[str], *, jobs: int = 1) -> Iterator[Call]:
        """Record a call that sends jobs.

        Args:
            operation: The method.
            name: What all its jobs are called; None where that differs.
            jobs: How many jobs it sends, where that is known before.
        """
        call = Call(self, operation, "send", name)
        call.sends = jobs
        with self._recorded(call, SpanKind.PRODUCER):
            yield call

    @contextlib.contextmanager
    def receive(self, operation: str, job_id: object) -> Iterator[Call]:
        """Record a call that takes the result of a job, and link it to the job's submit."""
        submitted = self._telemetry.submits.get(job_id) if isinstance(job_id, str) else None
        call = Call(self, operation, "receive", None if submitted is None else submitted.name)
        links = [] if submitted is None else [trace.Link(submitted.context)]
        with self._recorded(call, SpanKind.CLIENT, links):
            if isinstance(job_id, str):
                call.identify(job_id)
            yield call

    @contextlib.contextmanager
    def _recorded(
        self, call: Call, kind: SpanKind, links: Iterable[trace.Link] = ()
    ) -> Iterator[None]:
        began = time.perf_counter()
        span = self._telemetry.tracer.start_span(
            call.title, kind=kind, attributes=call.attributes, links=list(links)
        )
        call.span = span
        try:
            # Messages may have what a handler says of itself: the type alone is told.
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            self.count(call, time.perf_counter() - began)
            span.end()


class Call:
    """One call that is being recorded.

    Args:
        recorder: That of the client.
        operation: The method.
        kind: The conventions' word for what it does.
        name: What its jobs are called; None where that is not known.
    """

    def __init__(self, recorder: Recorder, operation: str, kind: str, name: Optional[str]) -> None:
        name = name if isinstance(name, str) else None
        self._recorder = recorder
        self._name = name
        self.title = operation if name is None else f"{operation} {name}"
        self.attributes: Dict[str, Any] = {
            "messaging.system": _SYSTEM,
            "messaging.operation.name": operation,
            "messaging.operation.type": kind,
            **recorder.server,
        }
        if name is not None:
            self.attributes["messaging.destination.name"] = name
        self.span: trace.Span = trace.INVALID_SPAN
        self.sends = 0
        self.takes = 0

    def carry(self, payload: Any) -> Any:
        """Return a payload with the trace context, if that is wanted and the payload an object."""
        member = self._recorder.member
        if member is None or not isinstance(payload, dict) or member in payload:
            return payload
        context: Dict[str, str] = {}
        propagate.inject(context)
        return {**payload, member: context} if context else payload

    def identify(self, job_id: str) -> None:
        """Name the job; in the span alone, since an id is no label."""
        self.span.set_attribute("messaging.message.id", job_id)

    def submitted(self, job_id: str) -> str:
        """Note that a job was sent, and return its id."""
        self.identify(job_id)
        self._recorder.remember(job_id, self._name, self.span)
        return job_id

    def submitted_all(self, job_ids: List[str]) -> List[str]:
        """Note that many jobs were sent, and return their ids."""
        self.sends = len(job_ids)
        self.span.set_attribute("messaging.batch.message_count", len(job_ids))
        for job_id in job_ids:
            self._recorder.remember(job_id, None, self.span)
        return job_ids

    def took(self, result: Optional[JobResult[Any]]) -> None:
        """Note that a result is returned."""
        if result is not None:
            self.takes = 1
            self.identify(result.job_id)
            self.span.set_attribute("bananas.job.status", result.status.value)

    def failed(self, error: BaseException) -> None:
        """Note that the call ends with an error, by its type alone."""
        kind = type(error).__qualname__
        self.attributes["error.type"] = kind
        self.span.set_attribute("error.type", kind)
        job_id = getattr(error, "job_id", None)
        if isinstance(job_id, str):
            self.identify(job_id)
        if not isinstance(error, (asyncio.CancelledError, CancelledError, GeneratorExit)):
            self.span.set_status(Status(StatusCode.ERROR, kind))
