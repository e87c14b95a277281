"""How cost grows: with tasks, payload size, number of waits, and jobs from one generator."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Tuple

from .fresh import run_fresh
from .rounds import BOTH, rounds
from .workloads import Figures, Side

__all__ = ["scaling"]

_TASKS = (1, 2, 5, 10, 50, 100, 500)
_BYTES = (100, 1_000, 10_000, 100_000, 1_000_000)
_WAITS = (100, 1_000, 10_000, 50_000)
_MOST_BASELINE_WAITS = 10_000
_MOST_BYTES = 100_000_000

#: Each has its ``at``, what is grown, and the ``rounds``.
Points = List[Dict[str, Any]]


def scaling(
    sides: Mapping[str, Side], count: int, jobs: int, quick: bool, say: Callable[[str], None]
) -> Dict[str, Points]:
    """Measure every curve, each point in so many rounds."""
    calls = 200 if quick else 2_000
    waits = [at for at in _WAITS if at <= 1_000 or not quick]
    port = sides["ours"].port

    def by_tasks(side: str, at: int) -> Figures:
        return sides[side].run("E2", -(-calls // at) * at, tasks=at)

    def by_size(side: str, at: int) -> Figures:
        return sides[side].run("E1", min(calls, _MOST_BYTES // at), {"text": "x" * at})

    def by_waits(side: str, at: int) -> Figures:
        return run_fresh(side, "W2", port, at)

    def by_jobs(side: str, at: int) -> Figures:
        return run_fresh(side, "jobs", port, at)

    curves: Dict[str, Tuple[Any, List[int], int]] = {
        "tasks": (by_tasks, list(_TASKS), count),
        "bytes": (by_size, list(_BYTES), count),
        "waits": (by_waits, waits, -(-count // 2)),
        "jobs": (by_jobs, [jobs // 10, jobs], 1),
    }
    found = {}
    for name, (run, ats, times) in curves.items():
        say(f"how cost grows with {name}: {', '.join(f'{at:,}' for at in ats)}")
        found[name] = [_point(at, times, run, _sides(name, at)) for at in ats]
    return found


def _sides(name: str, at: int) -> Tuple[str, ...]:
    alone = name == "jobs" or (name == "waits" and at > _MOST_BASELINE_WAITS)
    return ("ours",) if alone else BOTH


def _point(
    at: int, count: int, run: Callable[[str, int], Figures], sides: Tuple[str, ...]
) -> Dict[str, Any]:
    return {"at": at, "rounds": rounds(count, lambda side: run(side, at), sides)}
