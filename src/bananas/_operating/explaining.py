"""Reads all that tells why a job does not run, in a snapshot."""

from __future__ import annotations

import asyncio
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from .. import exceptions as exc
from .._redis import Command, Reply, ReplyError
from .._stored_jobs import result_of
from ..enums import JobPriority
from ..models import Job, JobResult
from ..operating import Explanation
from .deployment import Deployment, member_of
from .depths import visible_routes
from .diagnosis import diagnose
from .job_facts import FINAL, Facts, Standing
from .server_facts import READ_STATS, looks_of_schedulers

__all__ = ["explain"]

# So far back a list is searched in the snapshot: 2 ms of the server's time.
_SEARCHED = 100_000


async def explain(deployment: Deployment, job_id: str, observe: float) -> Explanation:
    """Explain where a job is, and why it does not run.

    Args:
        deployment: Where to read.
        job_id: The job.
        observe: For how many seconds to watch whether something moves; 0 is not at all.
    """
    first = await _snapshot(deployment, job_id)
    if not observe:
        return diagnose(job_id, first)
    await asyncio.sleep(observe)
    return diagnose(job_id, await _snapshot(deployment, job_id), first, observe)


async def _snapshot(deployment: Deployment, job_id: str) -> Facts:
    run = deployment.connection.run
    (text,) = await run([(b"GET", deployment.keys.document(member_of(job_id)))], again=True)
    job, _ = _read(text)
    # The document says which lists to read. Everything else is read at one moment.
    routes = [deployment.routing_key, None if job is None else job.routing_key, None]
    facts = await _read_facts(deployment, job_id, routes)
    if facts.job is not None and facts.job.status not in FINAL and not facts.stands:
        # Before a job is said to stand nowhere, the routes that nobody named are looked at too.
        others = [one for one in await visible_routes(deployment) if one not in routes]
        if others:
            facts = await _read_facts(deployment, job_id, [*routes, *others])
    (info,) = await run([READ_STATS], again=True)
    return facts._replace(scheduler_looks=looks_of_schedulers(info))


class _Look(NamedTuple):
    lists: Sequence[Tuple[Optional[str], JobPriority, bytes]]
    commands: List[Command]


async def _read_facts(
    deployment: Deployment, job_id: str, routes: Sequence[Optional[str]]
) -> Facts:
    run = deployment.connection.run
    look = _look(deployment, job_id, routes)
    found = (await run([(b"MULTI",), *look.commands, (b"EXEC",)], again=True))[-1]
    if not isinstance(found, list):  # a right is missing: each command is tried by itself
        found = await run(look.commands, again=True)
    facts = _facts(job_id, look, found)
    if not facts.stands and any(one.length > _SEARCHED for one in facts.standings):
        facts = await _search_all(deployment, facts, look, member_of(job_id))
    return facts


def _look(deployment: Deployment, job_id: str, routes: Sequence[Optional[str]]) -> _Look:
    keys, member = deployment.keys, member_of(job_id)
    lists = [
        (route, priority, keys.ready(priority, route))
        for route in dict.fromkeys(routes)
        for priority in JobPriority
    ]
    commands: List[Command] = [
        (b"TIME",),
        (b"GET", keys.document(member)),
        (b"HGETALL", keys.stored_result(member)),
        (b"ZSCORE", keys.scheduled, member),
        (b"LPOS", keys.processing, member),
        (b"LPOS", keys.dead, member),
    ]
    for _, _, key in lists:
        commands += [
            (b"LPOS", key, member, b"RANK", -1, b"MAXLEN", _SEARCHED),
            (b"LLEN", key),
            (b"LINDEX", key, -1),
        ]
    return _Look(lists, commands)


def _facts(job_id: str, look: _Look, replies: Sequence[Reply]) -> Facts:
    refusals = [str(reply) for reply in replies if isinstance(reply, ReplyError)]
    clean: List[Any] = [None if isinstance(one, ReplyError) else one for one in replies]
    now, text, stored, score, taken, dead = clean[:6]
    wrong_type = isinstance(replies[1], ReplyError) and replies[1].code == "WRONGTYPE"
    job, problem = _read(text)
    if isinstance(replies[1], ReplyError):
        problem = "it is not a string" if wrong_type else f"Redis refuses to show it ({replies[1]})"
    standings = []
    for at, (route, priority, _) in enumerate(look.lists):
        place, length, head = clean[6 + 3 * at : 9 + 3 * at]
        length = length or 0
        ahead = None if place is None else length - 1 - place
        standings.append(Standing(route, priority, ahead, length, head))
    result, result_problem = _result(job_id, stored)
    return Facts(
        now=float(now[0]) if now else 0.0,
        text=text,
        job=job,
        problem=problem,
        result=result,
        result_problem=result_problem,
        score=None if score is None else float(score),
        is_taken=taken is not None,
        is_dead=dead is not None,
        standings=tuple(standings),
        refusals=tuple(dict.fromkeys(refusals)),
    )


async def _search_all(deployment: Deployment, facts: Facts, look: _Look, member: bytes) -> Facts:
    """Search long lists to their ends, one at a time: each costs 20 ms for a million."""
    standings = list(facts.standings)
    for at, (_, _, key) in enumerate(look.lists):
        if standings[at].length <= _SEARCHED:
            continue
        commands: List[Command] = [
            (b"MULTI",), (b"LPOS", key, member, b"RANK", -1), (b"LLEN", key), (b"EXEC",),
        ]  # fmt: skip
        found = (await deployment.connection.run(commands, again=True))[-1]
        if isinstance(found, list) and isinstance(found[0], int):
            standings[at] = standings[at]._replace(ahead=found[1] - 1 - found[0], length=found[1])
            break
    return facts._replace(standings=tuple(standings))


def _read(text: Reply) -> Tuple[Optional[Job], str]:
    """Return a document, or why it can't be read; neither where there is none."""
    if not isinstance(text, bytes):
        return None, ""
    try:
        return Job.from_json(text), ""
    except exc.SerializationError as error:
        return None, str(error)


def _result(job_id: str, stored: Reply) -> Tuple[Optional[JobResult[Any]], str]:
    if not stored:
        return None, ""
    try:
        return result_of(job_id, stored), ""
    except (exc.SerializationError, exc.ServerError) as error:
        return None, str(error)
