"""What tests and demos run the queue on without a Redis or a Go worker."""

from .attempt import Attempt, Handler, Panic, Step
from .clock import Clock, ManualClock, SystemClock
from .embedded import EmbeddedBroker
from .harness import LocalQueue
from .scheduler import SchedulerEmulator
from .typed import TypedHandler
from .worker import WorkerEmulator

__all__ = [
    "Attempt",
    "Clock",
    "EmbeddedBroker",
    "Handler",
    "LocalQueue",
    "ManualClock",
    "Panic",
    "SchedulerEmulator",
    "Step",
    "SystemClock",
    "TypedHandler",
    "WorkerEmulator",
]
