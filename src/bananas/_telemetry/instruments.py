"""The tracer and the instruments that calls are recorded with."""

from __future__ import annotations

import contextlib
import weakref
from typing import Dict, Iterable, List, Optional, Union

from .. import exceptions as exc
from .._version import __version__
from ..client import AsyncClient, ClientStats
from ..sync import Client
from .api import CallbackOptions, MeterProvider, Observation, TracerProvider, metrics, trace

__all__ = ["Submitted", "Telemetry"]

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
            description="Jobs that were sent, or tried to be.",
        )
        self.consumed = meter.create_counter(
            "messaging.client.consumed.messages",
            unit="{message}",
            description="Results that were returned to callers.",
        )
        self._clients: weakref.WeakSet[Union[AsyncClient, Client]] = weakref.WeakSet()
        self.submits: Dict[str, Submitted] = {}
        self._observe(meter)

    def _observe(self, meter: metrics.Meter) -> None:
        for name, field, unit, text in (
            ("reconnects", "reconnects", "{reconnect}", "Connections that replaced a lost one."),
            ("round_trips", "pipelines", "{round_trip}", "Round trips that calls have shared."),
        ):
            meter.create_observable_counter(
                f"bananas.client.{name}", [_Sum(self, field)], unit=unit, description=text
            )
        for name, field, unit, text in (
            ("open_requests", "open_requests", "{request}", "Submits and reads under way."),
            ("pending_waits", "waits", "{wait}", "Jobs that are waited for."),
        ):
            meter.create_observable_up_down_counter(
                f"bananas.client.{name}", [_Sum(self, field)], unit=unit, description=text
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
        self.submits[job_id] = Submitted(name, context)
        if len(self.submits) > _REMEMBERED:
            with contextlib.suppress(StopIteration, KeyError, RuntimeError):  # other threads do too
                del self.submits[next(iter(self.submits))]


class Submitted:
    """What is remembered of a submit.

    Args:
        name: The job's name; None where the call has sent several.
        context: The span's.
    """

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
