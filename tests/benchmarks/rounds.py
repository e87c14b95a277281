"""Rounds in which each side has its turn, so that whatever else the machine does meets both."""

from __future__ import annotations

from typing import Callable, Dict, List, Sequence

from .workloads import Figures

__all__ = ["BOTH", "Rounds", "one_round", "rounds"]

#: The rounds of a workload; a round has the figures of each side.
Rounds = List[Dict[str, Figures]]

BOTH = ("baseline", "ours")


def one_round(
    at: int, run: Callable[[str], Figures], sides: Sequence[str] = BOTH
) -> Dict[str, Figures]:
    """Run every side; the order turns round from one round to the next."""
    return {side: run(side) for side in sides[:: 1 if at % 2 else -1]}


def rounds(count: int, run: Callable[[str], Figures], sides: Sequence[str] = BOTH) -> Rounds:
    """Run this many rounds."""
    return [one_round(at, run, sides) for at in range(count)]
