"""The script that takes a job out of the queue before a worker does, in one step of the server.

Another client sees all that a script does, or nothing. A refusal in the middle would leave the
first half done, so whoever runs one has asked for every right before. EVAL carries the text each
time: it is short beside the documents, and no server has forgotten it.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Union

from .._redis import Argument, Command

__all__ = ["Removal", "remove_job", "rights_to_remove"]


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
