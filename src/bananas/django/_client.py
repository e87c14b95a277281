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
    """Return what the setting ``BANANAS`` says.

    Raises:
        ImproperlyConfigured: It is refused.
    """
    try:
        return ClientSettings(getattr(settings, "BANANAS", {}))
    except ValueError as error:
        raise ImproperlyConfigured(str(error)) from None


_shared = FrameworkClient(load_settings)


def get_client() -> Client:
    """Return the client of this project, for code that blocks.

    It is made from the setting ``BANANAS`` when it is first asked for, and connects with its first
    call. All threads share it, and after a fork both processes go on with theirs. Don't close it:
    that is done when the process ends.

    Raises:
        ImproperlyConfigured: A setting is refused; ``manage.py check`` says the same.
    """
    return _shared.client


def get_async_client() -> AsyncClient:
    """Return the client of this project, for code that awaits.

    It is the one of ``get_client``: its calls run in the thread of that one's event loop, and are
    awaited in any other loop. So it serves async views under ASGI, and under WSGI as well, where
    each request has an event loop of its own. A call is cancelled with the view that awaits it.

    Raises:
        ImproperlyConfigured: A setting is refused; ``manage.py check`` says the same.
    """
    return _shared.async_client


def forget_client(*, setting: str = "", **_: Any) -> None:
    """Have the client made anew after its setting has changed, in a test."""
    if setting == "BANANAS":
        _shared.close()
