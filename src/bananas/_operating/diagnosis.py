"""Decides from what was read of a job why it does not run, and says what is a guess."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple, Optional, Tuple

from .._wire import format_timestamp, from_unix_time
from ..enums import JobStatus
from ..location import JobPlace
from ..models import Job
from ..operating import Explanation
from .job_facts import Facts, Standing, odd_priority

__all__ = ["diagnose"]

# The scheduler looks once a second.
_OVERDUE = 3.0
_NO_HANDLER = "no handler registered"
_GONE = "has expired, was evicted, or was deleted"
_AGAIN = "submit the job again"


class _Finding(NamedTuple):
    place: JobPlace
    situation: str
    cause: str
    advice: str
    is_guess: bool = False
    missing: Tuple[str, ...] = ()
    known: Tuple[str, ...] = ()


def diagnose(
    job_id: str, facts: Facts, earlier: Optional[Facts] = None, observed: float = 0.0
) -> Explanation:
    """Explain a job.

    Args:
        job_id: The job.
        facts: What was read last.
        earlier: What was read ``observed`` seconds before.
        observed: Seconds between the two.
    """
    found = _find(facts, earlier, observed)
    job, standing = facts.job, facts.standing
    failure = facts.result.error if facts.result is not None and facts.result.is_failed else ""
    due = None if facts.score is None else from_unix_time(facts.score)
    refused = tuple(f"Redis refuses a command: {one}" for one in facts.refusals)
    if facts.result_problem:
        refused += (f"its stored result can't be read: {facts.result_problem}",)
    return Explanation(
        job_id=job_id,
        place=found.place,
        situation=found.situation,
        cause=found.cause,
        advice=found.advice,
        is_guess=found.is_guess,
        known=found.known + refused,
        missing=found.missing,
        name="" if job is None else job.name,
        position=None if standing is None else standing.ahead,
        priority=None if standing is None else standing.priority,
        routing_key=None if standing is None else standing.route,
        due=due,
        attempts=0 if job is None else job.attempts,
        max_retries=0 if job is None else job.max_retries,
        last_error=failure if job is None else job.error or failure,
    )


def _find(facts: Facts, earlier: Optional[Facts], observed: float) -> _Finding:
    job = facts.job
    if job is None:
        return _unreadable(facts) if facts.problem else _without_document(facts)
    if job.is_dead_letter_stub:
        place = JobPlace.DEAD if facts.is_dead else JobPlace.FAILED
        return _Finding(
            place, "unreadable",
            "a worker found its document missing or unreadable, and left this message: "
            f"{job.error or 'no reason'}",
            f"{_AGAIN}; its name and payload are gone",
            missing=("document",),
        )  # fmt: skip
    if job.status is JobStatus.COMPLETED:
        gone = facts.result is None
        return _Finding(
            JobPlace.COMPLETED, "completed", "it has completed",
            f"its result {_GONE}, or the worker keeps none" if gone else "read its result",
            missing=("result",) if gone else (),
        )  # fmt: skip
    if job.status is JobStatus.FAILED:
        return _failed(facts, job)
    if facts.is_taken:
        return _taken(facts, job, earlier, observed)
    if facts.standing is not None:
        return _queued(facts, facts.standing, job, earlier, observed)
    if facts.score is not None:
        return _scheduled(facts, facts.score, job, earlier, observed)
    return _without_place(facts, job)


# -- documents that are missing, or can't be read ------------------------------------------------


def _without_document(facts: Facts) -> _Finding:
    missing = ("document",)
    if facts.standing is not None:
        return _Finding(
            JobPlace.QUEUED, "no document",
            f"its id is queued in {facts.standing.words}, but its document {_GONE}",
            f"{_AGAIN}; the worker that takes this id makes it a dead letter",
            missing=missing,
        )  # fmt: skip
    if facts.score is not None:
        return _Finding(
            JobPlace.SCHEDULED, "no document",
            f"its id is scheduled, but its document {_GONE}: the scheduler will never queue it",
            f"{_AGAIN}; bananas doctor --repair, or client.repair(), removes such ids",
            missing=missing,
        )  # fmt: skip
    if facts.is_taken or facts.is_dead:
        place = JobPlace.TAKEN if facts.is_taken else JobPlace.DEAD
        what = "a worker has taken its id" if facts.is_taken else "its id is a dead letter"
        return _Finding(
            place, "no document", f"{what}, but its document {_GONE}", _AGAIN,
            missing=missing,
        )  # fmt: skip
    if facts.result is not None:
        place = JobPlace.COMPLETED if facts.result.is_success else JobPlace.FAILED
        return _Finding(
            place, "result without job",
            f"it has ended and its result is stored, but its document {_GONE}",
            "read its result",
            missing=("document", "place"),
        )  # fmt: skip
    return _Finding(
        JobPlace.MISSING, "missing",
        "nothing is stored under this id: the job expired, or it never existed; the queue can't "
        "know which",
        "check the id, the database and key_prefix; documents expire 24 h after a success and 7 "
        "days after a final failure",
        missing=("document", "place", "result"),
    )  # fmt: skip


def _unreadable(facts: Facts) -> _Finding:
    where = "it is in no list"
    if facts.is_taken:
        where = "a worker has taken it"
    elif facts.standing is not None:
        where = f"it is queued in {facts.standing.words}"
    elif facts.score is not None:
        where = "it is scheduled, but the scheduler will never queue it"
    elif facts.is_dead:
        where = "it is a dead letter"
    return _Finding(
        JobPlace.UNREADABLE, "unreadable",
        f"its document can't be read, not even by a Go worker: {facts.problem}",
        f"correct the program that writes such documents, then {_AGAIN}; a worker that takes this "
        "one makes it a dead letter without running it",
        known=(where,),
    )  # fmt: skip


# -- jobs that have ended, or run ----------------------------------------------------------------


def _failed(facts: Facts, job: Job) -> _Finding:
    if b'"cancelled_at"' in (facts.text or b""):
        return _Finding(
            JobPlace.CANCELLED,
            "cancelled",
            "it was cancelled",
            f"{_AGAIN} if it should run",
        )
    place = JobPlace.DEAD if facts.is_dead else JobPlace.FAILED
    if job.error.startswith(_NO_HANDLER):
        return _no_handler(place, job)
    return _Finding(
        place, "failed",
        f'it failed for good after {job.attempts} of {job.max_retries} attempts: "'
        f'{_first_line(job.error)}"',
        "fix the cause, then requeue the job (bananas requeue, client.requeue()), or submit it "
        "again",
    )  # fmt: skip


def _no_handler(place: JobPlace, job: Job) -> _Finding:
    return _Finding(
        place, "no handler",
        f"the worker that took it has no handler for {job.name!r}",
        "deploy workers with that handler, then requeue the job; or correct the name, and submit "
        "it again",
    )  # fmt: skip


def _taken(facts: Facts, job: Job, earlier: Optional[Facts], observed: float) -> _Finding:
    why = ": the worker that took it dropped it, and it stays taken"
    odd = _unknown_priority(JobPlace.TAKEN, facts, why)
    if odd is not None:
        return odd
    known: Tuple[str, ...] = ("a worker has taken it",)
    if earlier is not None and earlier.is_taken and earlier.text == facts.text:
        known = (f"a worker has taken it at least {observed:g} s ago",)
    return _Finding(
        JobPlace.TAKEN, "taken",
        "it runs, or its worker was killed; the queue can't know which",
        "read the logs of the workers; if its worker was killed, recover its jobs: bananas "
        "recover, or client.recover()",
        is_guess=True,
        known=known,
    )  # fmt: skip


# -- jobs that wait ------------------------------------------------------------------------------


def _queued(
    facts: Facts, standing: Standing, job: Job, earlier: Optional[Facts], observed: float
) -> _Finding:
    place = JobPlace.RETRYING if job.attempts else JobPlace.QUEUED
    ahead = standing.ahead or 0
    others = f"behind {ahead} others" if ahead != 1 else "behind 1 other"
    known: Tuple[str, ...] = (
        f"it is queued in {standing.words}, {others if ahead else 'next to be taken'}",
        *_failures(job),
    )
    why = ": the worker that takes it drops it, and it stays taken"
    odd = _unknown_priority(place, facts, why)
    if odd is not None:
        return odd._replace(known=known)
    if job.error.startswith(_NO_HANDLER):
        return _no_handler(place, job)._replace(known=known)
    before = None if earlier is None else earlier.standing
    if before is not None and before.head == standing.head:
        known += (f"no job has left that list in {observed:g} s",)
        return _not_drained(facts, standing, job)._replace(place=place, known=known)
    if before is not None:
        known += (f"jobs have left that list within {observed:g} s",)
    return _Finding(
        place, "waiting", f"it waits for its turn{_routing_hint(standing, job)}",
        "wait, or start more workers" if before is not None
        else "wait; explain with observe=10 (--observe 10s) shows whether its list moves",
        is_guess=before is None,
        known=known,
    )  # fmt: skip


def _not_drained(facts: Facts, standing: Standing, job: Job) -> _Finding:
    busy = any(one.length and one is not standing for one in facts.standings)
    return _Finding(
        JobPlace.QUEUED, "not drained",
        "no worker takes jobs from that list" + (
            ", or all workers are busy with other jobs" if busy else ", or all run long jobs"
        ) + _routing_hint(standing, job),
        "check that workers for this route and priority run",
        is_guess=True,
    )  # fmt: skip


def _failures(job: Job) -> Tuple[str, ...]:
    """Say how often a job has failed, if it has."""
    if not job.attempts:
        return ()
    if job.attempts == 1:
        return (f'1 attempt has failed, with "{_first_line(job.error)}"',)
    return (f'{job.attempts} attempts have failed, the last with "{_first_line(job.error)}"',)


def _routing_hint(standing: Standing, job: Job) -> str:
    if standing.route is None and job.routing_key not in (None, "", "default"):
        return (
            f"; its document names the route {job.routing_key!r}, but it is in a flat list: "
            "workers of that route do not find it, unless they ignore routes"
        )
    if standing.route == "default":
        return "; newer servers read the flat lists, not those of the route 'default'"
    if standing.route is not None:
        return f"; only workers of route {standing.route!r} take jobs from it"
    return ""


def _scheduled(
    facts: Facts, score: float, job: Job, earlier: Optional[Facts], observed: float
) -> _Finding:
    place = JobPlace.RETRYING if job.attempts else JobPlace.SCHEDULED
    moment = from_unix_time(score)
    when = f"at {format_timestamp(moment)}" if moment else f"at {score:g}, which is not a time"
    known: Tuple[str, ...] = (f"it is due {when}", *_failures(job))
    late = facts.now - score
    if late <= _OVERDUE:
        if job.attempts:
            return _Finding(
                place, "retrying",
                f'it waits for its next attempt, after "{_first_line(job.error)}"',
                "wait, and fix what makes it fail",
                known=known,
            )  # fmt: skip
        return _Finding(
            place, "scheduled", "it is not due yet", "wait, or reschedule it", known=known
        )
    known += (f"it is overdue by {timedelta(seconds=int(late))}",)
    return _overdue(facts, earlier, observed, known)._replace(place=place)


def _overdue(
    facts: Facts, earlier: Optional[Facts], observed: float, known: Tuple[str, ...]
) -> _Finding:
    place = JobPlace.SCHEDULED
    looks = None
    if earlier is not None and None not in (earlier.scheduler_looks, facts.scheduler_looks):
        looks = (facts.scheduler_looks or 0) - (earlier.scheduler_looks or 0)
    if looks:
        return _Finding(
            place, "overdue",
            "a scheduler runs, but does not queue this job: it belongs to another deployment, or "
            "is far behind",
            "check the scheduler's log, its key_prefix and its database",
            is_guess=True,
            known=(*known, f"a scheduler asked for due jobs {looks} times in {observed:g} s"),
        )  # fmt: skip
    if looks == 0:
        known += (f"no scheduler asked for due jobs in {observed:g} s",)
    return _Finding(
        place, "overdue",
        "no scheduler is running",
        "start one: it moves due jobs to their lists" if looks == 0
        else "check the scheduler; explain with observe=6 (--observe 6s) shows whether one runs",
        is_guess=looks is None,
        known=known,
    )  # fmt: skip


def _without_place(facts: Facts, job: Job) -> _Finding:
    if facts.result is not None and facts.result.is_success:
        return _Finding(
            JobPlace.COMPLETED, "completed", "its result is stored", "read its result",
            known=("its document does not say so yet",),
        )  # fmt: skip
    if facts.is_dead:
        return _Finding(
            JobPlace.DEAD, "failed", "it is a dead letter, but its document does not say so",
            "it may be moving: check again", is_guess=True,
        )  # fmt: skip
    place = JobPlace.RETRYING if job.attempts else JobPlace.QUEUED
    if job.status is JobStatus.SCHEDULED and not job.attempts:
        place = JobPlace.SCHEDULED
    why = ", and its id is in none of their lists: workers read no others"
    odd = _unknown_priority(place, facts, why)
    if odd is not None:
        return odd._replace(is_guess=True, missing=("place",))
    return _Finding(
        place, "no place",
        "its document exists, but its id is in no list that was checked, and is neither scheduled "
        "nor taken: it was lost, or it was just moving",
        f"check again in a few seconds; if nothing changes, {_AGAIN}, or queue it again with "
        "bananas doctor --repair, or client.repair()",
        is_guess=True,
        missing=("place",),
    )  # fmt: skip


def _unknown_priority(place: JobPlace, facts: Facts, why: str) -> Optional[_Finding]:
    """Return what to say of a job whose priority no worker knows."""
    odd = odd_priority(facts.text or b"{}")
    if odd is None:
        return None
    cause = f"its priority {odd!r} is not high, normal or low{why}"
    return _Finding(place, "unknown priority", cause, f"{_AGAIN}, with one of these priorities")


def _first_line(error: str) -> str:
    line = error.strip().partition("\n")[0].rstrip()
    return line if len(line) <= 200 else f"{line[:197]}..."
