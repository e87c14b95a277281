"""The timer that is set again and again."""

from __future__ import annotations

from typing import Any, List

import pytest

from bananas._timer import Timer


class Handle:
    """What uvloop returns for a call that is due now: it can be cancelled, and tells no time."""

    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Loop:
    """An event loop that keeps what it is to call."""

    def __init__(self) -> None:
        self.handles: List[Handle] = []
        self.times: List[float] = []

    def call_at(self, when: float, *_: object, **__: object) -> Handle:
        self.times.append(when)
        self.handles.append(Handle())
        return self.handles[-1]


@pytest.mark.parametrize(
    ("when", "times"), [(4.0, [5.0, 4.0]), (5.0, [5.0]), (6.0, [5.0])], ids=str
)
def test_sooner_on_a_loop_whose_handles_tell_no_time(when: float, times: List[float]) -> None:
    """The sooner of two times counts, on every event loop."""
    loop: Any = Loop()
    timer = Timer(lambda: None)
    timer.set_sooner(loop, 5.0)
    timer.set_sooner(loop, when)
    assert loop.times == times
    assert [handle.is_cancelled for handle in loop.handles] == [True] * (len(times) - 1) + [False]
