"""Asks a credential provider for a user name and a password."""

from __future__ import annotations

import inspect
from typing import Any, Optional, Protocol, Tuple, Union

from .._daemon_thread import run_in_daemon_thread, wait_for_daemon_thread

__all__ = [
    "CredentialProvider",
    "CredentialsError",
    "NeedsLoop",
    "ask_here",
    "ask_provider",
    "check_provider",
]

_THREAD = "bananas credentials"
_ASYNC = "get_credentials_async"
Given = Union[Tuple[str], Tuple[str, str]]


class _Blocking(Protocol):
    """What has the method that is called in a thread."""

    def get_credentials(self) -> Given:
        """Return ``(password,)`` or ``(username, password)``."""
        ...


class _Async(Protocol):
    """What has the method that is awaited; it comes first."""

    async def get_credentials_async(self) -> Given:
        """Return ``(password,)`` or ``(username, password)``."""
        ...


#: What gives the credentials of each new connection; redis-py's providers do.
CredentialProvider = Union[_Blocking, _Async]


class CredentialsError(Exception):
    """A provider failed, or returned something else; the text holds nothing that came from it."""


def check_provider(provider: Any) -> None:
    """Refuse what can't be asked.

    Raises:
        ValueError: It has neither method.
    """
    methods = (getattr(provider, name, None) for name in ("get_credentials", _ASYNC))
    if isinstance(provider, type) or not any(map(callable, methods)):
        raise ValueError(
            "credential_provider must have a method get_credentials or get_credentials_async"
        )


class NeedsLoop(Exception):
    """A provider can only be asked on an event loop."""


async def ask_provider(provider: Any) -> Tuple[Optional[str], str]:
    """Return the user name, if there is one, and the password that a provider gives now.

    Raises:
        CredentialsError: It gives none.
    """
    try:
        if _has_own_async_method(provider):
            return _checked(await provider.get_credentials_async())
        given: Any = await run_in_daemon_thread(provider.get_credentials, _THREAD)
        return _checked(await given if inspect.isawaitable(given) else given)
    except Exception as error:
        raise _failure(error) from None


def ask_here(provider: Any, limit: float) -> Tuple[Optional[str], str]:
    """Do the same where there is no event loop, for ``limit`` seconds at most.

    Raises:
        CredentialsError: It gives none.
        TimeoutError: It takes longer.
        NeedsLoop: It has nothing that can be called without an event loop.
    """
    method: Any = getattr(provider, "get_credentials", None)
    if _has_own_async_method(provider) or inspect.iscoroutinefunction(method):
        raise NeedsLoop
    try:
        return _checked(wait_for_daemon_thread(method, _THREAD, limit))
    except TimeoutError:
        raise
    except Exception as error:
        raise _failure(error) from None


def _checked(given: Any) -> Tuple[Optional[str], str]:
    expected = "credential_provider must return (password,) or (username, password)"
    if not isinstance(given, (tuple, list)) or not all(isinstance(item, str) for item in given):
        raise CredentialsError(f"{expected}, as strings")
    if len(given) not in (1, 2):
        raise CredentialsError(f"{expected}, not {len(given)} items")
    username, password = (None, *given)[-2:]
    return username or None, password


def _failure(error: Exception) -> CredentialsError:
    if isinstance(error, CredentialsError):
        return error
    return CredentialsError(f"credential_provider raised {type(error).__name__}")


def _has_own_async_method(provider: Any) -> bool:
    """Whether a provider has an async method of its own.

    Those of redis-py's classes call the other method, on the event loop.
    """
    method = getattr(provider, _ASYNC, None)
    return callable(method) and getattr(method, "__module__", "") != "redis.credentials"
