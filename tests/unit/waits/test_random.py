"""The waits' state machine under every mixture of trouble: each wait ends, and ends right."""

from __future__ import annotations

import os
import random
from typing import List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.waits.driver import Driver

_RUNS = int(os.environ.get("BANANAS_WAITS_RUNS", "30"))
_STEPS = 400


@pytest.mark.parametrize("part", range(10))
def test_by_chance(part: int) -> None:
    """No attempt that is retried, no other job's result, no wait that hangs, nothing left."""
    for run in range(_RUNS):
        seed = part * 1_000_000 + run
        try:
            driver = Driver(random.Random(seed).randrange)
            for _ in range(_STEPS):
                driver.step()
            driver.finish()
        except BaseException:
            print(f"seed {seed}")
            raise


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10_000), max_size=400))
def test_shrunk(choices: List[int]) -> None:
    """The same, by choices that Hypothesis makes, and makes fewer of where something is wrong."""
    left = iter(choices)
    driver = Driver(lambda below: next(left, 0) % below)
    for _ in range(len(choices) // 2):
        driver.step()
    driver.finish()
