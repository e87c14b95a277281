"""Clients that live by the clock of a local queue and tell it what they submit."""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Any, Callable, Mapping

from ..client import AsyncClient
from ..sync import Client

__all__ = ["async_client", "blocking_client"]


def async_client(
    url: str,
    settings: Mapping[str, Any],
    now: Callable[[], datetime],
    look_at: Callable[[bytes], None],
) -> AsyncClient:
    """Return an ``AsyncClient``, not yet connected."""
    client = AsyncClient(url, **settings)
    client._use_clock(now, look_at)
    return client


def blocking_client(
    url: str,
    settings: Mapping[str, Any],
    now: Callable[[], datetime],
    look_at: Callable[[bytes], None],
) -> Client:
    """Return a connected ``Client``."""
    client = Client.__new__(Client)
    client._set_up(functools.partial(async_client, url, settings, now, look_at))
    return client
