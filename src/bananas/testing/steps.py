"""Step: what Redis sees of an attempt at a job, one after the other."""

from __future__ import annotations

import enum

__all__ = ["Step"]


class Step(enum.Enum):
    """What has just been done for a job; Redis sees a failure or a success in this order."""

    RAN = "the handler has returned or raised; Redis knows nothing yet"
    STORED = "the result is stored"
    PUBLISHED = "the result is announced"
    RECORDED = "the document is rewritten, and the id is where it belongs"
