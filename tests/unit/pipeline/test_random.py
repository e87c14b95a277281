"""The state machine under every mixture of trouble: what callers are told is so."""

from __future__ import annotations

import os
import random
from typing import List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.pipeline.driver import Driver

_RUNS = int(os.environ.get("BANANAS_PIPELINE_RUNS", "40"))
_STEPS = 400


def drive(seed: int, steps: int = _STEPS) -> None:
    """Let things happen by chance, and see what has become of them."""
    driver = Driver(random.Random(seed).randrange)
    for _ in range(steps):
        driver.step()
    driver.check_deadlines()
    driver.finish()


@pytest.mark.parametrize("part", range(10))
def test_by_chance(part: int) -> None:
    """Acknowledged: queued once. Rejected: not queued. Unknown and submitted again: once."""
    for run in range(_RUNS):
        seed = part * 1_000_000 + run
        try:
            drive(seed)
        except BaseException:
            print(f"seed {seed}")
            raise


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10_000), max_size=300))
def test_shrunk(choices: List[int]) -> None:
    """The same, by choices that Hypothesis makes, and makes fewer of where something is wrong."""
    left = iter(choices)
    driver = Driver(lambda below: next(left, 0) % below)
    for _ in range(len(choices) // 2):
        driver.step()
    driver.finish()
