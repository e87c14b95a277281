"""The states of the pipeline."""

from __future__ import annotations

import enum

__all__ = [
    "BACKING_OFF",
    "CLOSED",
    "CONNECTING",
    "IDLE",
    "READY",
    "SENT",
    "SETTLING",
    "State",
]


class State(enum.Enum):
    """Where the pipeline stands."""

    IDLE = "no connection, and nothing to do"
    CONNECTING = "a connection is being made"
    READY = "a connection, and nothing on its way"
    SENT = "a batch is on its way"
    SETTLING = "what was lost or left behind is being settled, or a busy server is asked"
    BACKING_OFF = "nothing is sent until a time"
    CLOSED = "for good"


# Looking up a member in its enum would take longer than most of the code that uses it.
# pylint: disable-next=invalid-name
IDLE, CONNECTING, READY, SENT, SETTLING, BACKING_OFF, CLOSED = State
