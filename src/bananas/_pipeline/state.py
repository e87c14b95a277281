"""The states of the pipeline."""

from __future__ import annotations

import enum

__all__ = ["State"]


class State(enum.Enum):
    """Where the pipeline stands."""

    IDLE = "no connection, and nothing to do"
    CONNECTING = "a connection is being made"
    READY = "a connection, and nothing on its way"
    SENT = "a batch is on its way"
    WATCHING = "nothing on its way, and keys are watched for the transaction that is sent next"
    SETTLING = "what settles lost replies, or takes back what was left behind, is on its way"
    BACKING_OFF = "no connection until a time"
    CLOSED = "for good"
