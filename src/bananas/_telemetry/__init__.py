"""Spans and metrics of clients, for ``bananas.opentelemetry``."""

from .api import MeterProvider, TracerProvider
from .classes import class_before
from .instruments import Telemetry
from .recording import Recorder
from .traced_async import TracedAsyncClient
from .traced_blocking import TracedClient

__all__ = [
    "MeterProvider",
    "Recorder",
    "Telemetry",
    "TracedAsyncClient",
    "TracedClient",
    "TracerProvider",
    "class_before",
]
