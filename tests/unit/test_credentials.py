"""Credential providers, each kind of which is asked in its own way."""

from __future__ import annotations

from typing import Tuple

import pytest
from redis.credentials import CredentialProvider, UsernamePasswordCredentialProvider

from bananas._redis.credentials import NeedsLoop, ask_here, ask_provider

GIVEN = ("producer", "secret")


class Plain:
    """Can be called."""

    def get_credentials(self) -> Tuple[str, str]:
        return GIVEN


class Inherited(CredentialProvider):
    """Has redis-py's method to be awaited as well, which calls its own."""

    def get_credentials(self) -> Tuple[str, str]:
        return GIVEN


class OfRedis(UsernamePasswordCredentialProvider):
    """Has both methods of redis-py."""

    def __init__(self) -> None:
        super().__init__(*GIVEN)


class Awaited:
    """Can be awaited, under the name of what is called."""

    async def get_credentials(self) -> Tuple[str, str]:
        return GIVEN


class Own:
    """Can only be awaited."""

    async def get_credentials_async(self) -> Tuple[str, str]:
        return GIVEN


@pytest.mark.parametrize("kind", [Plain, Inherited, OfRedis, Awaited, Own])
async def test_on_an_event_loop(kind: type) -> None:
    """There, every kind can be asked."""
    assert await ask_provider(kind()) == GIVEN


@pytest.mark.parametrize("kind", [Awaited, Own])
def test_what_needs_an_event_loop(kind: type) -> None:
    """It is not asked where there is none."""
    with pytest.raises(NeedsLoop):
        ask_here(kind(), 60)


@pytest.mark.parametrize("kind", [Plain, Inherited, OfRedis])
def test_without_an_event_loop(kind: type) -> None:
    """What can be called is."""
    assert ask_here(kind(), 60) == GIVEN


def test_user_name_that_is_empty() -> None:
    """It is none."""

    class Nameless(Plain):
        def get_credentials(self) -> Tuple[str, str]:
            return ("", "secret")

    assert ask_here(Nameless(), 60) == (None, "secret")
