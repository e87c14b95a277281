"""What is used of OpenTelemetry's API, which may be missing."""

from __future__ import annotations

from .._missing_extras import missing_extra

try:
    from opentelemetry import metrics, propagate, trace
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    raise missing_extra("bananas.opentelemetry", "opentelemetry-api", "otel") from error

__all__ = [
    "CallbackOptions",
    "MeterProvider",
    "Observation",
    "SpanKind",
    "Status",
    "StatusCode",
    "TracerProvider",
    "metrics",
    "propagate",
    "trace",
]
