"""What is recorded of one call: a span, a duration, and counts of jobs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from concurrent.futures import CancelledError
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, TypeVar, Union

from .. import exceptions as exc
from .._redis import Endpoint
from ..client import AsyncClient
from ..models import JobResult
from ..operating import DeadLetterCounts
from ..repairs import RecoveryCounts, RepairCounts
from ..sync import Client
from .api import SpanKind, Status, StatusCode, propagate, trace
from .instruments import Telemetry

__all__ = ["Call", "Recorder"]

_SYSTEM = "bananas"
_TYPE = "messaging.operation.type"
#: A span has no more links than that, unless its maker is told otherwise.
_LINKS = 128

Outcome = TypeVar("Outcome")
Counted = TypeVar("Counted", DeadLetterCounts, RecoveryCounts, RepairCounts)


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
        # The conventions give the type of an operation to its duration alone.
        of_messages = {k: v for k, v in call.attributes.items() if k != _TYPE}
        if call.sends:
            telemetry.sent.add(call.sends, of_messages)
        if call.takes:
            telemetry.consumed.add(call.takes, of_messages)

    def start(
        self, call: Call, kind: SpanKind = SpanKind.CLIENT, links: Iterable[trace.Link] = ()
    ) -> Call:
        """Begin the span of a call."""
        call.span = self._telemetry.tracer.start_span(
            call.title, kind=kind, attributes=call.attributes, links=list(links)
        )
        return call

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
        with self._current(self.start(call, SpanKind.PRODUCER)):
            yield call

    @contextlib.contextmanager
    def receive(self, operation: str, job_id: object) -> Iterator[Call]:
        """Record a call that takes the result of a job, and link it to the job's submit."""
        with self._current(self.start_job(operation, "receive", job_id)) as call:
            yield call

    @contextlib.contextmanager
    def receive_many(self, operation: str, job_ids: Sequence[str]) -> Iterator[Call]:
        """Record a call that takes the results of many jobs."""
        with self._current(self.start_jobs(operation, job_ids)) as call:
            yield call

    @contextlib.contextmanager
    def operate(self, operation: str, job_id: object = None) -> Iterator[Call]:
        """Record a call that changes what is queued, or audits it.

        Args:
            operation: The method.
            job_id: Its one job; None where it has many.
        """
        with self._current(self.start_job(operation, None, job_id)) as call:
            yield call

    def start_job(self, operation: str, kind: Optional[str], job_id: object) -> Call:
        """Begin the span of a call about a job, linked to the job's submit."""
        submitted = self._telemetry.submits.get(job_id) if isinstance(job_id, str) else None
        call = Call(self, operation, kind, None if submitted is None else submitted.name)
        self.start(call, links=[] if submitted is None else [trace.Link(submitted.context)])
        if isinstance(job_id, str):
            call.identify(job_id)
        return call

    def start_jobs(self, operation: str, job_ids: Sequence[str]) -> Call:
        """Begin the span of a call that takes the results of many jobs."""
        submits = self._telemetry.submits
        known = (submits.get(job_id) for job_id in job_ids)
        links = (trace.Link(found.context) for found in known if found is not None)
        call = Call(self, operation, "receive", None)
        call.has_many = True
        return self.start(call, links=itertools.islice(links, _LINKS))

    @contextlib.contextmanager
    def _current(self, call: Call) -> Iterator[Call]:
        try:
            # Messages may have what a handler says of itself: the type alone is told.
            with trace.use_span(call.span, record_exception=False, set_status_on_exception=False):
                yield call
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            call.end()


class Call:
    """One call that is being recorded.

    Args:
        recorder: That of the client.
        operation: The method.
        kind: The conventions' word for what it does; None where they have none.
        name: What its jobs are called; None where that is not known.
    """

    def __init__(
        self, recorder: Recorder, operation: str, kind: Optional[str], name: Optional[str]
    ) -> None:
        name = name if isinstance(name, str) else None
        self._began = time.perf_counter()
        self._recorder = recorder
        self._name = name
        self.title = operation if name is None else f"{operation} {name}"
        self.attributes: Dict[str, Any] = {
            "messaging.system": _SYSTEM,
            "messaging.operation.name": operation,
            **recorder.server,
        }
        if kind is not None:
            self.attributes[_TYPE] = kind
        if name is not None:
            self.attributes["messaging.destination.name"] = name
        self.span: trace.Span = trace.INVALID_SPAN
        self.sends = 0
        self.takes = 0
        self.has_many = False
        self._is_sent = False

    def end(self) -> None:
        """Count the call, and end its span."""
        self._recorder.count(self, time.perf_counter() - self._began)
        self.span.end()

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
        self._is_sent = True
        self.identify(job_id)
        self._recorder.remember(job_id, self._name, self.span)
        return job_id

    def submitted_all(self, job_ids: List[str]) -> List[str]:
        """Note that many jobs were sent, and return their ids."""
        self._is_sent = True
        self.sends = len(job_ids)
        self.handled(len(job_ids))
        for job_id in job_ids:
            self._recorder.remember(job_id, None, self.span)
        return job_ids

    def handled(self, number: int) -> None:
        """Note how many jobs the call was about."""
        self.span.set_attribute("messaging.batch.message_count", number)

    def took(self, result: Optional[JobResult[Any]]) -> None:
        """Note that a result is returned."""
        if result is not None:
            self.takes = 1
            self.identify(result.job_id)
            self.ended_as(result)

    def took_all(self, results: List[Any]) -> List[Any]:
        """Note that many results are returned, among them None and errors."""
        self.takes = sum(isinstance(result, JobResult) for result in results)
        self.handled(self.takes)
        return results

    def ended_as(self, result: JobResult[Any]) -> None:
        """Note how the job has ended."""
        self.span.set_attribute("bananas.job.status", result.status.value)

    def became(self, outcome: Outcome) -> Outcome:
        """Note what became of the job, and return that."""
        self.span.set_attribute("bananas.job.outcome", str(outcome))
        return outcome

    def changed(self, counts: Counted) -> Counted:
        """Note how many jobs were changed, and return the counts."""
        self.handled(0 if getattr(counts, "dry_run", False) else counts.done)
        return counts

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
        if self.sends and not self._is_sent and _is_refused(error):
            self.sends = 0

    def failed_among(self, error: BaseException) -> None:
        """Note how many jobs of a batch were sent before an error."""
        if isinstance(error, exc.BananasError):
            self.sends = len(error.submitted)
            if not _is_refused(error):
                self.sends += len(error.job_ids)


def _is_refused(error: BaseException) -> bool:
    """Return whether an error is about what was to be sent, so that nothing was."""
    refusals = (ValueError, TypeError, exc.ClientClosedError)
    return isinstance(error, refusals) and getattr(error, "job_id", None) is None
