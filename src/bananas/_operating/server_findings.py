"""Decides what two looks at the server say of workers, of a scheduler, and of the server."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

from ..repairs import Finding
from .deployment import id_of
from .id_places import Place
from .server_facts import ServerLook
from .tally import Tally, counted

__all__ = ["server_findings"]


def server_findings(
    places: Sequence[Place],
    first: ServerLook,
    second: Optional[ServerLook],
    rights: Dict[str, List[str]],
) -> List[Finding]:
    """Return what is amiss.

    Args:
        places: The places, for what they are called.
        first: The first look.
        second: The second one; None where there was none.
        rights: The commands that the user may not use, by what they are needed for.
    """
    found = [*_policy(first)]
    if second is not None:
        found += _lists(places, first, second)
        found += _scheduler(first, second)
    for task, commands in rights.items():
        found.append(
            Finding(
                "missing right",
                f"the user of this connection may not use {', '.join(commands)}",
                f"grant them or use another user, to {task}",
                len(commands),
            )
        )
    return found


def _policy(look: ServerLook) -> List[Finding]:
    if look.policy in ("", "noeviction"):
        return []
    lost = "results and ended documents" if look.policy.startswith("volatile") else "waiting jobs"
    when = (
        "when maxmemory is reached" if look.max_memory else "as soon as a maxmemory is set and full"
    )
    return [
        Finding(
            "evicts",
            f"maxmemory-policy is {look.policy}: Redis deletes {lost} {when}",
            "set it: CONFIG SET maxmemory-policy noeviction, and in the configuration file",
        )
    ]


def _lists(places: Sequence[Place], first: ServerLook, second: ServerLook) -> List[Finding]:
    found: List[Finding] = []
    for place in places:
        before, after = first.heads.get(place.key), second.heads.get(place.key)
        if before is None or after is None or before[0] != after[0] or after[1] < before[1]:
            continue
        found.append(
            Finding(
                "not drained",
                f"no job left {place.words} between the two checks; "
                + counted(after[1], "job waits there", "jobs wait there"),
                "start workers for it; workers that are busy with long jobs or with lists of "
                "higher priority, look the same",
                after[1],
                place.name,
                (id_of(after[0]),),
                is_guess=True,
            )
        )
    return found


def _scheduler(first: ServerLook, second: ServerLook) -> List[Finding]:
    left = set(second.overdue)
    overdue = Tally([member for member in first.overdue if member in left])
    is_known = first.scheduler_looks is not None and second.scheduler_looks is not None
    if is_known and first.scheduler_looks == second.scheduler_looks:
        late = counted(overdue.count, "job is", "jobs are")
        more = f", and at least {late} overdue" if overdue.count else ""
        return [
            Finding(
                "no scheduler",
                f"no scheduler asked for due jobs between the two checks{more}",
                "start the scheduler: without it no scheduled job runs, and no retry",
                max(1, overdue.count),
                examples=overdue.examples,
                is_guess=not overdue.count,
            )
        ]
    if overdue.count:
        return [
            overdue.finding(
                "no scheduler",
                "overdue at both checks, but not queued: "
                + counted(overdue.count, "job or more", "jobs or more"),
                "check whether the scheduler runs and keeps up",
                is_guess=True,
            )
        ]
    return []
