"""Runs the queue in tests and demos, without Redis and without a Go worker."""

from ._calling import Panic
from .attempt import Attempt
from .clock import Clock, ManualClock, SystemClock
from .embedded import EmbeddedBroker
from .harness import LocalQueue
from .real import RealBroker
from .runs import Outcome, Run
from .scheduler import SchedulerEmulator
from .scripts import (
    Handler,
    Script,
    crash_worker,
    fail,
    lose_notification,
    panic,
    slow,
    succeed,
    unhandled,
)
from .steps import Step
from .strictness import UnknownJobError
from .submitted import SubmittedJobs
from .typed import TypedHandler
from .worker import WorkerEmulator

__all__ = [
    "Attempt",
    "Clock",
    "EmbeddedBroker",
    "Handler",
    "LocalQueue",
    "ManualClock",
    "Outcome",
    "Panic",
    "RealBroker",
    "Run",
    "SchedulerEmulator",
    "Script",
    "Step",
    "SubmittedJobs",
    "SystemClock",
    "TypedHandler",
    "UnknownJobError",
    "WorkerEmulator",
    "crash_worker",
    "fail",
    "lose_notification",
    "panic",
    "slow",
    "succeed",
    "unhandled",
]
