"""Reads what the server tells of workers, of a scheduler, and of itself."""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .. import exceptions as exc
from .._redis import Command, Reply, ReplyError
from ..models import Job
from .deployment import Deployment
from .document_pages import read_all_documents
from .id_places import Place
from .rights import queue_and_discard

__all__ = ["READ_STATS", "ServerLook", "look_at_server", "looks_of_schedulers", "missing_commands"]

#: Its reply tells how often each command was called.
READ_STATS: Command = (b"INFO", b"commandstats")

# The scheduler looks once a second: what is due for so long is overdue.
_GRACE = 3.0
_MOST_OVERDUE = 500
_LOOKS = re.compile(rb"cmdstat_zrangebyscore:calls=([0-9]+)")
_FIELD = re.compile(rb"^([a-z_]+):([^\r\n]*)", re.MULTILINE)


class ServerLook(NamedTuple):
    """What one look found.

    Attributes:
        heads: Of each list of queued jobs that is not empty: the id that is taken next, and how
            many there are.
        overdue: Due jobs with a document that a scheduler can read.
        scheduler_looks: How often anybody looked for due jobs; None if the server does not tell.
        policy: Which keys the server evicts when its memory is full; empty where it does not tell.
        max_memory: How much memory it may use; 0 is all.
    """

    heads: Dict[bytes, Tuple[bytes, int]]
    overdue: Tuple[bytes, ...]
    scheduler_looks: Optional[int]
    policy: str
    max_memory: int


async def look_at_server(deployment: Deployment, places: Sequence[Place]) -> ServerLook:
    """Look once."""
    lists = [place.key for place in places if place.kind == "ready"]
    commands: List[Command] = []
    for key in lists:
        commands += [(b"LINDEX", key, -1), (b"LLEN", key)]
    commands += [READ_STATS, (b"INFO", b"memory"), (b"TIME",)]
    replies = await deployment.connection.run(commands, again=True)
    heads: Dict[bytes, Tuple[bytes, int]] = {}
    for at, key in enumerate(lists):
        head, length = replies[2 * at : 2 * at + 2]
        if isinstance(head, bytes) and isinstance(length, int):
            heads[key] = (head, length)
    stats, memory, time = replies[-3:]
    fields = dict(_FIELD.findall(memory)) if isinstance(memory, bytes) else {}
    return ServerLook(
        heads,
        await _overdue(deployment, time),
        looks_of_schedulers(stats),
        fields.get(b"maxmemory_policy", b"").decode("ascii", "replace"),
        int(fields.get(b"maxmemory", b"0") or 0),
    )


def looks_of_schedulers(stats: Reply) -> Optional[int]:
    """Return how often due jobs were asked for, which schedulers alone do in this way."""
    if not isinstance(stats, bytes):
        return None
    found = _LOOKS.search(stats)
    return 0 if found is None else int(found[1])


async def _overdue(deployment: Deployment, time: Any) -> Tuple[bytes, ...]:
    if isinstance(time, ReplyError):
        return ()
    until = b"%d" % (int(time[0]) - int(_GRACE))
    ids: List[bytes] = await deployment.ask(
        # Not ZRANGEBYSCORE: how often that is called tells whether a scheduler runs.
        (b"ZRANGE", deployment.keys.scheduled, b"-inf", until, b"BYSCORE",
         b"LIMIT", 0, _MOST_OVERDUE)
    )  # fmt: skip
    documents = await read_all_documents(deployment, ids)
    # A scheduler leaves what it can't read where it is.
    return tuple(member for member, document in zip(ids, documents) if _is_readable(document))


def _is_readable(document: Optional[bytes]) -> bool:
    if document is None:
        return False
    try:
        Job.from_json(document)
    except exc.SerializationError:
        return False
    return True


#: By what they are needed for.
_NEEDED: Dict[str, Sequence[Sequence[Any]]] = {
    "submit jobs": [("SET", "J", ""), ("LPUSH", "L", ""), ("ZADD", "Z", 0, ""), ("GET", "J")],
    "wait for results": [("HGETALL", "R"), ("SUBSCRIBE", "C"), ("LPOS", "P", "")],
    "look into the queue": [
        ("LLEN", "L"), ("LRANGE", "L", 0, 0), ("MGET", "J"), ("STRLEN", "J"), ("EXISTS", "J"),
        ("ZRANGE", "Z", 0, 0), ("SCAN", "0"), ("INFO",), ("TIME",),
    ],
    "change jobs": [
        ("EVAL", "return 1", 1, "J"), ("LREM", "L", 0, ""), ("LSET", "L", 0, ""), ("ZREM", "Z", ""),
        ("DEL", "J", "R"), ("HSET", "R", "f", ""), ("EXPIRE", "R", 1), ("PUBLISH", "C", ""),
        ("LPUSH", "D", ""), ("HSET", "N", "f", ""), ("HDEL", "N", "f"),
    ],
}  # fmt: skip


async def missing_commands(deployment: Deployment) -> Dict[str, List[str]]:
    """Return what the user may not do: the commands, by what they are needed for.

    They are queued in a transaction, which is discarded.
    """
    keys, member = deployment.keys, b"rights"
    names = {
        "J": keys.document(member), "R": keys.stored_result(member), "Z": keys.scheduled,
        "L": keys.all_ready([None])[0], "P": keys.processing, "D": keys.dead,
        "N": keys.taken_notes, "C": keys.announcement(member),
    }  # fmt: skip
    tasks = [(task, command) for task, commands in _NEEDED.items() for command in commands]
    probes: List[Command] = [
        tuple(names.get(part, part) if at else part for at, part in enumerate(command))
        for _, command in tasks
    ]
    begun, *replies = await queue_and_discard(deployment.connection, probes)
    if isinstance(begun, ReplyError):
        return {"submit jobs": ["MULTI"]}
    missing: Dict[str, List[str]] = {}
    for (task, command), reply in zip(tasks, replies):
        if isinstance(reply, ReplyError) and reply.code == "NOPERM":
            missing.setdefault(task, []).append(str(command[0]))
    return {task: list(dict.fromkeys(commands)) for task, commands in missing.items()}
