"""The script that takes a job out of the queue before a worker does, in one step of the server."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence

from .._redis import Argument, Command
from .._wire import Keys
from .scripts import Script

__all__ = ["Removal", "remove_job"]

# In seconds. A scheduler reads due jobs and writes later, so jobs that are due this soon are left.
_MARGIN = 5
# In seconds: how long the document of a job that ends is kept.
_EXPIRY = 7 * 24 * 3600

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
        new: The document to write.
        score: When it is due from now on; None for a job that ends.
        fields: Names and values of the result of a job that ends.
        kept: Seconds that this result is kept.
    """

    new: bytes
    score: Optional[int] = None
    fields: Sequence[Argument] = ()
    kept: int = 0


def remove_job(
    keys: Keys,
    member: bytes,
    old: bytes,
    removal: Removal,
    lists: Sequence[bytes],
    *,
    only_look: bool,
) -> Script:
    """Return the script that takes a job away, or says why it does not.

    Its reply is ``done``, ``taken``, ``changed`` (the document is another by now), ``due``,
    ``queued`` (it was only to look), or ``absent`` (it stands in none of the places).

    Args:
        keys: The names of everything.
        member: The id.
        old: The document as it was read.
        removal: What it becomes.
        lists: The lists that it may be on.
        only_look: Whether to leave it where it is on one of them.
    """
    r = removal
    return Script(
        _REMOVE,
        [keys.document(member), keys.stored_result(member), keys.scheduled, keys.processing,
         *lists],
        [member, old, r.new, _MARGIN, int(only_look), "" if r.score is None else r.score,
         _EXPIRY, keys.announcement(member), r.kept, *r.fields],
        _rights(keys, member, r, lists),
    )  # fmt: skip


def _rights(keys: Keys, member: bytes, removal: Removal, lists: Sequence[bytes]) -> List[Command]:
    job, result = keys.document(member), keys.stored_result(member)
    commands: List[Command] = [
        (b"LPOS", keys.processing, member),
        (b"GET", job),
        (b"ZSCORE", keys.scheduled, member),
        (b"TIME",),
        (b"ZREM", keys.scheduled, member),
    ]
    for key in lists:
        commands += [(b"LLEN", key), (b"LPOS", key, member), (b"LREM", key, 0, member)]
    if removal.score is not None:
        return [*commands, (b"SET", job, b""), (b"ZADD", keys.scheduled, removal.score, member)]
    return [
        *commands,
        (b"SET", job, b"", b"EX", _EXPIRY),
        (b"DEL", result),
        (b"HSET", result, *removal.fields),
        (b"EXPIRE", result, removal.kept),
        (b"PUBLISH", keys.announcement(member), b"ready"),
    ]
