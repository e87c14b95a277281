"""Logs that a connection is lost, can't be replaced, and works again: each once."""

from __future__ import annotations

import logging
import time
from typing import Any, Dict, Optional

from .. import exceptions as exc
from .url import Endpoint

__all__ = ["ConnectionLog"]

_log = logging.getLogger("bananas")
# Without this, a program that does not set up logging would get these records on stderr.
_log.addHandler(logging.NullHandler())


class ConnectionLog:
    """What the log has been told of one connection; no message holds a password.

    Args:
        purpose: What the connection is for.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._began: Optional[float] = None
        self._reported = False
        self._endpoint: Optional[Endpoint] = None
        self._run_id: Optional[str] = None

    def lost(self, endpoint: Endpoint, reason: Exception) -> None:
        """Note that a connection is lost, or given up."""
        if self._began is None:
            self._began = time.monotonic()
            facts = self._facts("connection_lost", endpoint)
            text = "lost the connection to Redis at %s (%s): %s"
            _log.warning(text, endpoint, self._purpose, reason, extra=facts)

    def refused(self, reason: exc.ConnectionError) -> None:
        """Note that no connection could be made."""
        if self._began is None:
            self._began = time.monotonic()
        if not self._reported:
            self._reported = True
            facts = self._facts("no_connection", self._endpoint)
            _log.warning("no connection (%s): %s", self._purpose, reason, extra=facts)

    def connected(self, endpoint: Endpoint, run_id: Optional[str]) -> None:
        """Note that there is a connection again, or for the first time."""
        purpose, before = self._purpose, self._endpoint
        if self._began is not None:
            took = time.monotonic() - self._began
            facts = {**self._facts("connected", endpoint), "seconds": round(took, 3)}
            text = "connected to Redis at %s (%s), after %.1f s without"
            _log.info(text, endpoint, purpose, took, extra=facts)
        if before is not None and (endpoint != before or run_id != self._run_id):
            facts = self._facts("another_server", endpoint)
            text = "Redis at %s (%s) has taken over from another process, at %s"
            _log.warning(text, endpoint, purpose, before, extra=facts)
        self._endpoint, self._run_id = endpoint, run_id
        self._began = None
        self._reported = False

    def _facts(self, event: str, endpoint: Optional[Endpoint]) -> Dict[str, Any]:
        """Return the fields of a record, for logs that programs read."""
        address = None if endpoint is None else str(endpoint)
        return {"bananas_event": event, "redis_address": address, "purpose": self._purpose}
