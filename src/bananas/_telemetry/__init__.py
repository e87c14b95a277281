"""Spans and metrics of clients, for ``bananas.opentelemetry``."""

from .recording import MeterProvider, Telemetry, TracerProvider
from .traced_async import TracedAsyncClient
from .traced_blocking import TracedClient

__all__ = ["MeterProvider", "Telemetry", "TracedAsyncClient", "TracedClient", "TracerProvider"]
