"""The client of a Django project, made from its settings."""

from __future__ import annotations

from typing import Any

from .._framework_client import FrameworkClient
from .._framework_settings import ClientSettings
from .._missing_extras import missing_extra
from ..client import AsyncClient
from ..sync import Client

try:
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
except ModuleNotFoundError as error:
    if error.name != "django":
        raise
    raise missing_extra("bananas.django", "django", "django") from error

__all__ = ["forget_client", "get_async_client", "get_client", "load_settings"]


def load_settings() -> ClientSettings:
    """Return the setting ``BANANAS``, checked.

    Raises:
        ImproperlyConfigured: It is not valid.
    """
    try:
        return ClientSettings(getattr(settings, "BANANAS", {}))
    except ValueError as error:
        raise ImproperlyConfigured(str(error)) from None


_shared = FrameworkClient(load_settings)


def get_client() -> Client:
    """Return the blocking client of this project.

    The first call makes it from the setting ``BANANAS``. It connects with its first call. All
    threads share it, and it works after a fork. Do not close it: it is closed when the process
    ends.

    Raises:
        ImproperlyConfigured: A setting is not valid; ``manage.py check`` says which.
    """
    return _shared.client


def get_async_client() -> AsyncClient:
    """Return the client of this project for ``async def`` code.

    It shares the connections of ``get_client()``. Its calls run in a thread of that client, so it
    works in async views under ASGI and under WSGI, where each request has its own event loop. If
    the view is cancelled, its call is cancelled, too.

    Raises:
        ImproperlyConfigured: A setting is not valid; ``manage.py check`` says which.
    """
    return _shared.async_client


def forget_client(*, setting: str = "", **_: Any) -> None:
    """Have the client made anew after its setting has changed, in a test."""
    if setting == "BANANAS":
        _shared.close()
