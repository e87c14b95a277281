"""Step: the steps of an attempt that can be seen in Redis."""

from __future__ import annotations

import enum

__all__ = ["Step"]


class Step(enum.Enum):
    """The last step of an attempt; workers do these steps in this order."""

    RAN = "the handler has returned or raised; Redis knows nothing yet"
    STORED = "the result is stored"
    PUBLISHED = "the result is announced"
    RECORDED = "the document is rewritten, and the id is where it belongs"
