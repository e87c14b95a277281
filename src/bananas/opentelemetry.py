"""OpenTelemetry: spans and metrics for the calls of a client."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple, TypeVar, Union

from ._telemetry import (
    MeterProvider,
    Recorder,
    Telemetry,
    TracedAsyncClient,
    TracedClient,
    TracerProvider,
    class_before,
)
from .client import AsyncClient
from .sync import Client

__all__ = ["instrument", "uninstrument"]

C = TypeVar("C", bound=Union[AsyncClient, Client])

#: One for each pair of providers, since instruments are made once.
_made: Dict[Tuple[Optional[TracerProvider], Optional[MeterProvider]], Telemetry] = {}


def instrument(
    client: C,
    *,
    tracer_provider: Optional[TracerProvider] = None,
    meter_provider: Optional[MeterProvider] = None,
    context_member: Optional[str] = None,
) -> C:
    """Record what a client is asked for from now on, as spans and metrics.

    The client gets a class in front of its own, whose methods record what the others do; a client
    that is not instrumented pays nothing. No span and no metric has a payload, a result, or the
    text of an error.

    Args:
        client: Of either kind.
        tracer_provider: Makes the tracer; None is the global one.
        meter_provider: Makes the instruments; None is the global one.
        context_member: The member of a payload that gets the trace context for the Go handler, an
            object with ``traceparent``; None leaves payloads as they are. Only payloads that are
            objects get it, and only where they have no such member.

    Returns:
        The client itself.

    Raises:
        ValueError: It is instrumented already, or ``context_member`` is empty.
        TypeError: It is no client.
    """
    own: type = type(client)
    traced: type = TracedAsyncClient
    if isinstance(client, Client):
        traced = TracedClient
    elif not isinstance(client, AsyncClient):
        raise TypeError(f"client must be an AsyncClient or a Client, not {own.__name__}")
    if isinstance(client, traced):
        raise ValueError("the client is instrumented already; uninstrument() it first")
    if context_member is not None and not context_member:
        raise ValueError("context_member must be the name of a member, or None")
    telemetry = _made.get((tracer_provider, meter_provider))
    if telemetry is None:
        fresh = Telemetry(tracer_provider, meter_provider)
        telemetry = _made.setdefault((tracer_provider, meter_provider), fresh)
    target: Any = client
    settings = (
        client._connections.here.client._settings
        if isinstance(client, Client)
        else client._settings
    )
    endpoint = None if settings.sentinels else settings.endpoint
    target._recorder = Recorder(telemetry, endpoint, context_member)
    target.__class__ = class_before(own, traced)
    telemetry.watch(client)
    return client


def uninstrument(client: Union[AsyncClient, Client]) -> None:
    """Record nothing of a client any more; one that is not instrumented is left as it is."""
    if isinstance(client, (TracedAsyncClient, TracedClient)):
        client._recorder.forget(client)
        target: Any = client
        target.__class__ = type(client).__bases__[1]
