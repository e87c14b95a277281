"""Credential providers, each kind of which is asked in its own way."""

from __future__ import annotations

from typing import Tuple

import pytest

from bananas._redis.credentials import NeedsLoop, ask_here, ask_provider

GIVEN = ("producer", "secret")


class Plain:
    """Can be called."""

    def get_credentials(self) -> Tuple[str, str]:
        return GIVEN


class Awaited:
    """Can be awaited, under the name of what is called."""

    async def get_credentials(self) -> Tuple[str, str]:
        return GIVEN


class Own:
    """Can only be awaited."""

    async def get_credentials_async(self) -> Tuple[str, str]:
        return GIVEN


@pytest.mark.parametrize("kind", [Plain, Awaited, Own])
async def test_on_an_event_loop(kind: type) -> None:
    """There, every kind can be asked."""
    assert await ask_provider(kind()) == GIVEN


@pytest.mark.parametrize("kind", [Awaited, Own])
def test_what_needs_an_event_loop(kind: type) -> None:
    """It is not asked where there is none."""
    with pytest.raises(NeedsLoop):
        ask_here(kind(), 60)


def test_without_an_event_loop() -> None:
    """What can be called is."""
    assert ask_here(Plain(), 60) == GIVEN
