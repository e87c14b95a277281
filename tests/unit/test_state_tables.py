"""The state machines go where the page of internals says, and nowhere else."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any, Callable, Iterable, Set, Tuple

import pytest

import tests.unit.pipeline.driver
import tests.unit.waits.driver
from bananas._pipeline.state_machine import StateMachine
from bananas._pipeline.states import State as PipelineState
from bananas._waits.registry import AwaitedJob
from bananas._waits.registry import State as WaitState

Transitions = Set[Tuple[str, str]]

_DOCS = Path(__file__).parents[2] / "docs/explanation"
_STEPS = 400
# From here on the rare ones come soon. It only saves time.
_SEEDS = range(2230, 4230)


def _listed(states: Iterable[Any]) -> Transitions:
    """Return the transitions of the table that has these states."""
    names = {state.name for state in states}
    for table in (
        (_DOCS / "internals.md").read_text("utf-8").split("| state | when | next state |\n")[1:]
    ):
        rows = table.partition("\n\n")[0].splitlines()[1:]
        read = [
            re.fullmatch(r"\| (?:`(\w+)`|the start|any state) \|.*\| `(\w+)` \|", row)
            for row in rows
        ]
        assert None not in read, rows[read.index(None)]
        found = {(match.group(1) or "", match.group(2)) for match in read if match is not None}
        if {state for transition in found for state in transition} - {""} == names:
            return found
    raise AssertionError(f"no table has the states {sorted(names)}, and no others")


def _noted(seen: Transitions, old: Any, new: Any) -> None:
    if old is not new:
        seen.add(("" if old is None else old.name, new.name))


@pytest.fixture
def seen_pipeline(monkeypatch: pytest.MonkeyPatch) -> Transitions:
    """What the state machine of the pipeline has done since."""
    seen: Transitions = set()

    class Observed(StateMachine):
        @property
        def state(self) -> Any:
            return self._state

        @state.setter
        def state(self, new: Any) -> None:
            _noted(seen, self.__dict__.get("_state"), new)
            self._state = new

    monkeypatch.setattr(tests.unit.pipeline.driver, "StateMachine", Observed)
    return seen


@pytest.fixture
def seen_waits(monkeypatch: pytest.MonkeyPatch) -> Transitions:
    """What the state machine of waits has done since."""
    seen: Transitions = set()
    slot: Any = vars(AwaitedJob)["state"]

    class Observed:
        def __get__(self, job: Any, owner: Any = None) -> Any:
            return slot.__get__(job, owner)

        def __set__(self, job: Any, new: Any) -> None:
            _noted(seen, getattr(job, "state", None), new)
            slot.__set__(job, new)

    monkeypatch.setattr(AwaitedJob, "state", Observed())
    return seen


def _driven(make: Callable[..., Any], listed: Transitions, seen: Transitions) -> Any:
    """Drive a state machine until it has made every listed transition; return its last driver."""
    for seed in _SEEDS:
        driver = make(random.Random(seed).randrange)
        for _ in range(_STEPS):
            driver.step()
        driver.finish()
        assert seen <= listed
        if seen == listed:
            break
    assert seen == listed
    return driver


def test_pipeline(seen_pipeline: Transitions) -> None:
    """Driven by chance, the pipeline makes each transition that is listed, and no other."""
    # That it can be closed in any state is listed once.
    listed = {(old, new) for old, new in _listed(PipelineState) if new != "CLOSED"}
    driver = _driven(tests.unit.pipeline.driver.Driver, listed, seen_pipeline)
    driver.machine.close(driver.now)
    assert driver.machine.state is PipelineState.CLOSED


def test_waits(seen_waits: Transitions) -> None:
    """Driven by chance, waits make each transition that is listed, and no other."""
    _driven(tests.unit.waits.driver.Driver, _listed(WaitState), seen_waits)


@pytest.mark.parametrize("states", [PipelineState, WaitState])
def test_the_drawings_agree_with_the_tables(states: Any) -> None:
    """The page of the architecture draws every state, and only transitions that are listed."""
    page = (_DOCS / "architecture.md").read_text("utf-8")
    names = {state.name for state in states}
    drawings = [
        set(re.findall(r"^    (?:\[\*\]|(\w+)) --> (\w+)", text.partition("```")[0], re.M))
        for text in page.split("stateDiagram-v2\n")[1:]
    ]
    (drawn,) = (
        found for found in drawings if {state for pair in found for state in pair} <= names | {""}
    )
    assert {state for pair in drawn for state in pair} == names | {""}
    listed = _listed(states)
    assert {(old, new) for old, new in drawn if new != "CLOSED"} <= listed
