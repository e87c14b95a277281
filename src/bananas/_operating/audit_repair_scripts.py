"""The scripts that repair what an audit has found, each in one step of the server."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence

from .._redis import Argument, Command
from .._wire import Keys
from .id_places import Place, Window
from .scripts import UNCHANGED, Script

__all__ = ["Placing", "drop_ids", "expire_results", "place_jobs"]

# Entries move where others leave or come: a list is searched so far beyond what was read.
_MARGIN = 1000

# Removes ids that still have no document from a list, or from the set of scheduled jobs.
_DROP = """
local place, mark, side = KEYS[1], ARGV[1], ARGV[2]
local from, upto = tonumber(ARGV[3]), tonumber(ARGV[4])
local gone, marked, wanted = 0, 0, {}
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then wanted[ARGV[3 + i]] = true end
end
if side == 'set' then
  for id in pairs(wanted) do gone = gone + redis.call('ZREM', place, id) end
  return gone
end
local first, last = 0, redis.call('LLEN', place) - 1
if last >= 10000 then
  if side == 'left' then first, last = from, upto
  else first, last = math.max(0, last + 1 - upto), last - from end
end
for i, id in ipairs(redis.call('LRANGE', place, first, last)) do
  if wanted[id] then
    redis.call('LSET', place, first + i - 1, mark)
    marked = marked + 1
  end
end
if marked > 0 then redis.call('LREM', place, side == 'left' and marked or -marked, mark) end
return marked
"""

# Sets an expiry for results that have no document and no expiry.
_EXPIRE = """
local done = 0
for i = 1, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 0 and redis.call('TTL', KEYS[i + 1]) == -1 then
    done = done + redis.call('EXPIRE', KEYS[i + 1], ARGV[1])
  end
end
return done
"""

# Queues jobs again that are in no list. It checks the entries that were added since the lists were
# read. It changes each document, so that a second call that found the job does not queue it, too.
_PLACE = """
local scheduled, lists = KEYS[1], tonumber(ARGV[1])
local standing, placed = {}, {}
for i = 2, 1 + lists do
  for _, id in ipairs(redis.call('LRANGE', KEYS[i], 0, ARGV[2])) do standing[id] = true end
end
for j = 0, (#KEYS - 1 - lists) / 3 - 1 do
  local at = 2 + lists + 3 * j
  local job, result, target = KEYS[at], KEYS[at + 1], KEYS[at + 2]
  local id, sum, score, new = ARGV[3 + 4 * j], ARGV[4 + 4 * j], ARGV[5 + 4 * j], ARGV[6 + 4 * j]
  placed[j + 1] = 0
  if unchanged(job, sum) and not standing[id] and redis.call('EXISTS', result) == 0
      and not redis.call('ZSCORE', scheduled, id) then
    redis.call('SET', job, new, 'KEEPTTL')
    if score ~= '' then redis.call('ZADD', scheduled, score, id)
    else redis.call('LPUSH', target, id) end
    placed[j + 1] = 1
  end
end
return placed
"""


def drop_ids(keys: Keys, place: Place, ids: Sequence[bytes], window: Window, mark: bytes) -> Script:
    """Return the script that removes ids without a document; it replies with their number."""
    documents = [keys.document(member) for member in ids]
    rights: List[Command] = [(b"EXISTS", name) for name in documents]
    if place.kind == "scheduled":
        side = "set"
        rights.append((b"ZREM", place.key, b""))
    else:
        side = "left" if window.from_left else "right"
        rights += [
            (b"LLEN", place.key),
            (b"LRANGE", place.key, 0, 0),
            (b"LSET", place.key, 0, b""),
            (b"LREM", place.key, 1, b""),
        ]
    begin = window.begin if window.from_left else max(0, window.begin - _MARGIN)
    end = window.end + (_MARGIN if window.from_left else 0)
    return Script(_DROP, [place.key, *documents], [mark, side, begin, end, *ids], rights)


def expire_results(keys: Keys, ids: Sequence[bytes], seconds: int) -> Script:
    """Return the script that has results without a job expire; it replies with their number."""
    names: List[bytes] = []
    rights: List[Command] = []
    for member in ids:
        job, result = keys.document(member), keys.stored_result(member)
        names += [job, result]
        rights += [(b"EXISTS", job), (b"TTL", result), (b"EXPIRE", result, seconds)]
    return Script(_EXPIRE, names, [seconds], rights)


class Placing(NamedTuple):
    """A job that stands nowhere, and where it goes.

    Attributes:
        member: The id.
        sum: The digest of its document.
        score: When it is due; None for one that is queued at once.
        target: The list that it goes to otherwise.
        new: The document that it gets.
    """

    member: bytes
    sum: bytes
    score: Optional[int]
    target: bytes
    new: bytes


def place_jobs(keys: Keys, placings: Sequence[Placing], lists: Sequence[bytes]) -> Script:
    """Return the script that puts jobs back; it replies with 1, or 0, for each of them.

    Args:
        keys: The names of everything.
        placings: The jobs.
        lists: All lists in which one may stand; they were read a moment ago.
    """
    names = [keys.scheduled, *lists]
    arguments: List[Argument] = [len(lists), _MARGIN - 1]
    rights: List[Command] = [(b"LRANGE", name, 0, 0) for name in lists]
    rights += [(b"ZSCORE", keys.scheduled, b""), (b"ZADD", keys.scheduled, 0, b"")]
    rights += [(b"LPUSH", target, b"") for target in {one.target for one in placings}]
    for one in placings:
        job, result = keys.document(one.member), keys.stored_result(one.member)
        names += [job, result, one.target]
        arguments += [one.member, one.sum, "" if one.score is None else one.score, one.new]
        rights += [(b"GET", job), (b"EXISTS", result), (b"SET", job, b"", b"KEEPTTL")]
    return Script(UNCHANGED + _PLACE, names, arguments, rights)
