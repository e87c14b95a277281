"""The scripts that change the queue, each in one step of the server.

Another client sees all that a script does, or nothing. A refusal in the middle would leave the
first half done, so whoever runs one has asked for every right before. EVAL carries the text each
time: it is short beside the documents, and no server has forgotten it.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Union

from .._redis import Argument, Command

__all__ = [
    "Purge",
    "Removal",
    "Requeue",
    "move_letters",
    "purge_letters",
    "remove_job",
]

# Takes a job away before a worker has taken it. What is compared, and what is looked at, comes
# before the first write; the ready lists are asked for their lengths, which fails for another type.
_REMOVE = """
local job, result, scheduled, processing = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, old, new, margin, look = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local score, expiry, channel, kept = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
if redis.call('LPOS', processing, id) then return 'taken' end
if redis.call('GET', job) ~= old then return 'changed' end
local due = redis.call('ZSCORE', scheduled, id)
if due and tonumber(due) <= tonumber(redis.call('TIME')[1]) + margin then return 'due' end
for i = 5, #KEYS do redis.call('LLEN', KEYS[i]) end
if look == '1' and not due then
  for i = 5, #KEYS do if redis.call('LPOS', KEYS[i], id) then return 'queued' end end
end
local n = redis.call('ZREM', scheduled, id)
for i = 5, #KEYS do n = n + redis.call('LREM', KEYS[i], 0, id) end
if n == 0 then return 'absent' end
if score ~= '' then
  redis.call('SET', job, new)
  redis.call('ZADD', scheduled, score, id)
  return 'done'
end
redis.call('SET', job, new, 'EX', expiry)
redis.call('DEL', result)
local fields = {}
for i = 10, #ARGV do fields[#fields + 1] = ARGV[i] end
redis.call('HSET', result, unpack(fields))
redis.call('EXPIRE', result, kept)
redis.call('PUBLISH', channel, 'ready')
return 'done'
"""

# Moves dead letters back. A mark in the place of each makes removing them one scan of the list.
_MOVE = """
local dead, mark, moved = KEYS[1], ARGV[1], {}
for i = 4, #KEYS, 3 do redis.call('LLEN', KEYS[i]) end
for i = 1, (#ARGV - 1) / 4 do
  local index, id, sum, new = ARGV[4*i-2], ARGV[4*i-1], ARGV[4*i], ARGV[4*i+1]
  local job, result, list = KEYS[3*i-1], KEYS[3*i], KEYS[3*i+1]
  local found = redis.pcall('GET', job)
  if type(found) == 'string' and redis.sha1hex(found) == sum
      and redis.call('LINDEX', dead, index) == id then
    redis.call('LSET', dead, index, mark)
    redis.call('SET', job, new)
    redis.call('DEL', result)
    redis.call('LPUSH', list, id)
    moved[#moved + 1] = i
  end
end
if #moved > 0 then redis.call('LREM', dead, -#moved, mark) end
return moved
"""

_PURGE = """
local dead, mark, gone = KEYS[1], ARGV[1], {}
for i = 1, (#ARGV - 1) / 3 do
  local index, id, sum = ARGV[3*i-1], ARGV[3*i], ARGV[3*i+1]
  local found = redis.pcall('GET', KEYS[2*i])
  if ((not found and sum == '') or (type(found) == 'string' and redis.sha1hex(found) == sum))
      and redis.call('LINDEX', dead, index) == id then
    redis.call('LSET', dead, index, mark)
    redis.call('DEL', KEYS[2*i], KEYS[2*i+1])
    gone[#gone + 1] = i
  end
end
if #gone > 0 then redis.call('LREM', dead, -#gone, mark) end
return gone
"""


class Removal(NamedTuple):
    """What a job that is taken away from its place becomes.

    Attributes:
        job: The key of its document.
        result: That of its result.
        scheduled: That of the scheduled jobs.
        processing: That of the taken ones.
        lists: Those of the lists that it may be on.
        job_id: The id.
        old: The document as it was read.
        new: The document to write.
        margin: Seconds before its time in which a scheduled job is left alone.
        look: Whether only to look if it is on a list.
        score: When it is due from now on; None for a job that ends.
        expiry: Seconds that the document of a job that ends is kept.
        channel: Where that is announced.
        kept: Seconds that its result is kept.
        fields: Names and values of its result.
    """

    job: bytes
    result: bytes
    scheduled: bytes
    processing: bytes
    lists: Sequence[bytes]
    job_id: bytes
    old: bytes
    new: bytes
    margin: int
    look: bool = False
    score: Optional[int] = None
    expiry: int = 0
    channel: bytes = b""
    kept: int = 0
    fields: Sequence[Argument] = ()


def remove_job(removal: Removal) -> Command:
    """Return the command that takes a job away, or says why it does not.

    Its reply is ``done``, ``taken``, ``changed`` (the document is another by now), ``due``,
    ``queued`` (it was only to look), or ``absent`` (it stands in none of the places).
    """
    r = removal
    keys = [r.job, r.result, r.scheduled, r.processing, *r.lists]
    score: Union[int, str] = "" if r.score is None else r.score
    return (
        b"EVAL", _REMOVE, len(keys), *keys,
        r.job_id, r.old, r.new, r.margin, int(r.look), score, r.expiry, r.channel, r.kept,
        *r.fields,
    )  # fmt: skip


def rights_to_remove(removal: Removal) -> List[Command]:
    """Return every command that the script may run, with the keys that it runs it on."""
    r = removal
    commands: List[Command] = [
        (b"EVAL", b"return 1", 4 + len(r.lists), r.job, r.result, r.scheduled, r.processing,
         *r.lists),
        (b"LPOS", r.processing, r.job_id),
        (b"GET", r.job),
        (b"ZSCORE", r.scheduled, r.job_id),
        (b"TIME",),
        (b"ZREM", r.scheduled, r.job_id),
    ]  # fmt: skip
    for key in r.lists:
        commands += [(b"LLEN", key), (b"LPOS", key, r.job_id), (b"LREM", key, 0, r.job_id)]
    if r.score is not None:
        return [*commands, (b"SET", r.job, b""), (b"ZADD", r.scheduled, r.score, r.job_id)]
    return [
        *commands,
        (b"SET", r.job, b"", b"EX", r.expiry),
        (b"DEL", r.result),
        (b"HSET", r.result, *r.fields),
        (b"EXPIRE", r.result, r.kept),
        (b"PUBLISH", r.channel, b"ready"),
    ]


class Requeue(NamedTuple):
    """A dead letter that goes back.

    Attributes:
        place: Where it stands in the list, counted from the right end, below 0.
        job_id: The id.
        job: The key of its document.
        result: That of its result.
        target: That of the list it goes to.
        sum: The SHA-1 of the document as it was read, in hexadecimal digits.
        new: The document to write.
    """

    place: int
    job_id: bytes
    job: bytes
    result: bytes
    target: bytes
    sum: str
    new: bytes


class Purge(NamedTuple):
    """A dead letter that is deleted; ``sum`` is empty where it has no document."""

    place: int
    job_id: bytes
    job: bytes
    result: bytes
    sum: str


def move_letters(dead: bytes, mark: bytes, page: Sequence[Requeue]) -> Command:
    """Return the command that moves a page of dead letters; it replies with what it moved."""
    keys = [dead]
    arguments: List[Argument] = [mark]
    for each in page:
        keys += [each.job, each.result, each.target]
        arguments += [each.place, each.job_id, each.sum, each.new]
    return (b"EVAL", _MOVE, len(keys), *keys, *arguments)


def rights_to_move(dead: bytes, page: Sequence[Requeue]) -> List[Command]:
    """Return every command that moving a page may run, with the keys that it runs it on."""
    commands: List[Command] = [
        (b"LINDEX", dead, 0),
        (b"LSET", dead, 0, b""),
        (b"LREM", dead, -1, b""),
    ]
    for target in dict.fromkeys(each.target for each in page):
        commands += [(b"LLEN", target), (b"LPUSH", target, b"")]
    for each in page:
        commands += [(b"GET", each.job), (b"SET", each.job, b""), (b"DEL", each.result)]
    return commands


def purge_letters(dead: bytes, mark: bytes, page: Sequence[Purge]) -> Command:
    """Return the command that deletes a page of dead letters; it replies with what it deleted."""
    keys = [dead]
    arguments: List[Argument] = [mark]
    for each in page:
        keys += [each.job, each.result]
        arguments += [each.place, each.job_id, each.sum]
    return (b"EVAL", _PURGE, len(keys), *keys, *arguments)


def rights_to_purge(dead: bytes, page: Sequence[Purge]) -> List[Command]:
    """Return every command that deleting a page may run, with the keys that it runs it on."""
    commands: List[Command] = [
        (b"LINDEX", dead, 0),
        (b"LSET", dead, 0, b""),
        (b"LREM", dead, -1, b""),
    ]
    for each in page:
        commands += [(b"GET", each.job), (b"DEL", each.job, each.result)]
    return commands
