"""Spans and metrics of clients, for ``bananas.opentelemetry``."""

from .recording import MeterProvider, Recorder, Telemetry, TracerProvider
from .traced_async import TracedAsyncClient
from .traced_blocking import TracedClient

__all__ = [
    "MeterProvider",
    "Recorder",
    "Telemetry",
    "TracedAsyncClient",
    "TracedClient",
    "TracerProvider",
]
