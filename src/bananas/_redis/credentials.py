"""Asks a credential provider for a user name and a password."""

from __future__ import annotations

import inspect
from typing import Any, Optional, Protocol, Tuple, Union

from .._daemon_thread import run_in_daemon_thread, wait_for_daemon_thread

__all__ = [
    "CredentialProvider",
    "CredentialsError",
    "NeedsLoop",
    "ask",
    "ask_here",
    "check_provider",
]

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


def check_provider(provider: Any) -> Any:
    """Return a provider as it is.

    Raises:
        ValueError: It has neither method.
    """
    if provider is None or isinstance(provider, type):
        methods = [] if provider is None else [None]
    else:
        methods = [
            getattr(provider, "get_credentials", None),
            getattr(provider, "get_credentials_async", None),
        ]
    if methods and not any(map(callable, methods)):
        raise ValueError(
            "credential_provider must have a method get_credentials or get_credentials_async"
        )
    return provider


class NeedsLoop(Exception):
    """A provider can only be asked on an event loop."""


async def ask(provider: Any) -> Tuple[Optional[str], str]:
    """Return the user name, if there is one, and the password that a provider gives now.

    Raises:
        CredentialsError: It gives none.
    """
    try:
        given = await _ask(provider)
    except Exception as error:
        raise CredentialsError(f"credential_provider raised {type(error).__name__}") from None
    return _checked(given)


def ask_here(provider: Any, limit: float) -> Tuple[Optional[str], str]:
    """Do the same where there is no event loop, for ``limit`` seconds at most.

    Raises:
        CredentialsError: It gives none.
        TimeoutError: It takes longer.
        NeedsLoop: It has nothing that can be called without an event loop.
    """
    method = getattr(provider, "get_credentials", None)
    if _has_own_async_method(provider) or inspect.iscoroutinefunction(method):
        raise NeedsLoop
    assert method is not None
    try:
        given = wait_for_daemon_thread(method, "bananas credentials", limit)
    except TimeoutError:
        raise
    except Exception as error:
        raise CredentialsError(f"credential_provider raised {type(error).__name__}") from None
    return _checked(given)


def _checked(given: Any) -> Tuple[Optional[str], str]:
    if not isinstance(given, (tuple, list)) or not all(isinstance(item, str) for item in given):
        raise CredentialsError(
            "credential_provider must return (password,) or (username, password), as strings"
        )
    if len(given) == 1:
        return None, given[0]
    if len(given) == 2:
        return given[0] or None, given[1]
    raise CredentialsError(
        f"credential_provider must return (password,) or (username, password), not {len(given)} "
        "items"
    )


async def _ask(provider: Any) -> Any:
    if _has_own_async_method(provider):
        return await provider.get_credentials_async()
    given = await run_in_daemon_thread(provider.get_credentials, "bananas credentials")
    return await given if inspect.isawaitable(given) else given


def _has_own_async_method(provider: Any) -> bool:
    """Whether a provider has an async method of its own.

    The one that redis-py's base class has calls the other method, on the event loop.
    """
    method = getattr(provider, "get_credentials_async", None)
    if not callable(method):
        return False
    function = getattr(method, "__func__", method)
    inherited = (
        getattr(function, "__module__", "") == "redis.credentials"
        and getattr(function, "__qualname__", "") == "CredentialProvider.get_credentials_async"
    )
    return not (inherited and callable(getattr(provider, "get_credentials", None)))
