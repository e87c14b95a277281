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
    """Record the calls of a client as spans and metrics, from now on.

    Only this client gets new methods, so other clients do not become slower. Spans and metrics
    never contain a payload, a result, or the text of an error.

    Args:
        client: A ``Client`` or an ``AsyncClient``.
        tracer_provider: The tracer provider; None is the global one.
        meter_provider: The meter provider; None is the global one.
        context_member: Add the trace context to payloads, as a member with this name: an object
            with ``traceparent``, for the Go handler. It is added only to objects without such a
            member. None does not change payloads.

    Returns:
        The client itself.

    Raises:
        ValueError: The client is already instrumented, or ``context_member`` is empty.
        TypeError: ``client`` is not a client.
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
    """Stop recording the calls of a client; does nothing if it is not instrumented."""
    if isinstance(client, (TracedAsyncClient, TracedClient)):
        client._recorder.forget(client)
        target: Any = client
        target.__class__ = type(client).__bases__[1]
