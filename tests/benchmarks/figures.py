"""What each workload is, what it is to reach, and how a run's figures read."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Tuple

from .rounds import Rounds

__all__ = ["COUNTS", "FIGURES", "Figure", "Spread", "ratios", "spread"]

#: How many calls a round of each workload makes. Divisible by 100 tasks, and by 8 threads.
COUNTS = {
    "E1": 1500, "E2": 4000, "E3": 10_000, "S1": 1500, "S2": 3200, "SP": 1500,
    "SR": 1500, "SI": 1500, "W1": 80, "RT": 300,
    "W2": 10_000, "M1": 3,
}  # fmt: skip


class Spread(NamedTuple):
    """What the rounds of one figure come to."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes:
        workload: Where it is measured.
        name: The figure's name among those of the workload.
        text: What it is.
        goal: What is to be reached: of the ratio to the baseline, or where ``unit`` is given, of
            the figure itself.
        unit: What the figure itself is shown in, and how large that is.
    """

    workload: str
    name: str
    text: str
    goal: float
    unit: Optional[Tuple[str, float]] = None

    @property
    def more_is_better(self) -> bool:
        return self.name == "rate"

    def measured(self, rounds: Rounds) -> Spread:
        """What the goal speaks of."""
        if self.unit is None:
            return spread(ratios(rounds, self.name))
        return spread([one["ours"][self.name] / self.unit[1] for one in rounds])

    def row(self, rounds: Rounds) -> List[str]:
        """The figure as it is printed."""
        found = self.measured(rounds)
        unit = "×" if self.unit is None else self.unit[0]
        reached = found.median >= self.goal if self.more_is_better else found.median <= self.goal
        return [
            self.workload,
            self.text,
            f"{found.median:.2f} {unit}".strip(),
            f"{found.least:.2f} – {found.most:.2f}",
            f"{self.goal:g} {unit}".strip() + (" or more" if self.more_is_better else " or less"),
            "reached" if reached else "missed",
        ]


def ratios(rounds: Rounds, name: str, side: str = "ours") -> List[float]:
    """A figure over the baseline's of the same round; one without it, or of 0, tells nothing."""
    pairs = [(one[side][name], one.get("baseline", {}).get(name)) for one in rounds]
    return [mine / base for mine, base in pairs if base]


def spread(values: List[float]) -> Spread:
    if not values:
        return Spread(float("nan"), float("nan"), float("nan"))
    return Spread(statistics.median(values), min(values), max(values))


FIGURES = [
    Figure("E1", "rate", "one submit at a time, jobs/s", 1.6),
    Figure("E2", "rate", "100 tasks that submit, jobs/s", 10),
    Figure("E3", "rate", "10,000 jobs in one call, jobs/s", 5),
    Figure("S1", "rate", "one blocking submit at a time, jobs/s", 3),
    Figure("S2", "rate", "8 threads on one blocking client, jobs/s", 3),
    Figure("SP", "rate", "a blocking submit, all on one core, jobs/s", 3),
    Figure("SR", "rate", "one blocking read of a job at a time, jobs/s", 0.6),
    Figure("SI", "rate", "one blocking submit with a job_id at a time, jobs/s", 0.6),
    Figure("W1", "time", "time from a result's store to its waiter", 0.65),
    Figure("RT", "time", "time of submit and wait, answered at once", 0.5),
    Figure("W2", "cpu", "10,000 waits at once: CPU for each", 0.15),
    Figure("W2", "lag", "10,000 waits: time from last store to last waiter", 0.2, ("s", 1)),
    Figure("W2", "memory", "10,000 waits: memory for each", 4, ("KiB", 1024)),
    Figure("W2", "connections", "10,000 waits: connections beside the first", 1, ("", 1)),
    Figure("M1", "time", "time of the import, against redis.asyncio's", 1.05),
]
