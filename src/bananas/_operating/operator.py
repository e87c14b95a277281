"""Operator: what the public methods of a client hand their operating calls to."""

from __future__ import annotations

from typing import Optional

from .._pipeline import AutoPipeline
from .._waits import Waits
from .._wire import Keys
from .connection import OperatingConnection

__all__ = ["Operator"]


class Operator:
    """Carries out the operating calls of one client.

    Args:
        connection: Carries the commands.
        pipeline: Carries reads of one job.
        waits: Knows of each awaited job.
        keys: The names of everything.
        routing_key: The client's own route; None for the flat lists.

    Attributes:
        connection: As given.
    """

    def __init__(
        self,
        connection: OperatingConnection,
        pipeline: AutoPipeline,
        waits: Waits,
        keys: Keys,
        *,
        routing_key: Optional[str] = None,
    ) -> None:
        self.connection = connection
        self._pipeline = pipeline
        self._waits = waits
        self._keys = keys
        self._routing_key = routing_key
