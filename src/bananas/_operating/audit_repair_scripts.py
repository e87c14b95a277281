"""The scripts that repair what an audit has found, each in one step of the server."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Union

from .._redis import Argument, Command
from .._wire import Keys
from .id_places import Place, Window

__all__ = ["Placing", "drop_ids", "expire_results", "place_job"]

# Entries move where others leave or come: a long list is searched so far beyond the page.
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

# Has results expire that have no document and would stay for ever.
_EXPIRE = """
local done = 0
for i = 1, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 0 and redis.call('TTL', KEYS[i + 1]) == -1 then
    done = done + redis.call('EXPIRE', KEYS[i + 1], ARGV[1])
  end
end
return done
"""

# Puts a job back that stands nowhere; all places are asked once more.
_PLACE = """
local job, result, scheduled, target = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, sum, score = ARGV[1], ARGV[2], ARGV[3]
local found = redis.pcall('GET', job)
if type(found) ~= 'string' or redis.sha1hex(found) ~= sum then return 0 end
if redis.call('EXISTS', result) == 1 or redis.call('ZSCORE', scheduled, id) then return 0 end
for i = 4, #KEYS do
  if redis.call('LPOS', KEYS[i], id) then return 0 end
end
if score ~= '' then redis.call('ZADD', scheduled, score, id)
else redis.call('LPUSH', target, id) end
return 1
"""


def drop_ids(
    keys: Keys, place: Place, ids: Sequence[bytes], window: Window, mark: bytes
) -> Command:
    """Return the command that removes ids without a document; it replies with their number."""
    side = "set" if place.kind == "scheduled" else "left" if window.from_left else "right"
    names = [place.key, *(keys.document(member) for member in ids)]
    begin = window.begin if window.from_left else max(0, window.begin - _MARGIN)
    end = window.end + (_MARGIN if window.from_left else 0)
    return (b"EVAL", _DROP, len(names), *names, mark, side, begin, end, *ids)


def rights_to_drop(keys: Keys, place: Place, ids: Sequence[bytes]) -> List[Command]:
    """Return every command that removing ids may run, with the keys that it runs it on."""
    names = [place.key, *(keys.document(member) for member in ids)]
    commands: List[Command] = [(b"EVAL", b"return 1", len(names), *names)]
    commands += [(b"EXISTS", name) for name in names[1:]]
    if place.kind == "scheduled":
        return [*commands, (b"ZREM", place.key, b"")]
    return [
        *commands,
        (b"LLEN", place.key),
        (b"LRANGE", place.key, 0, 0),
        (b"LSET", place.key, 0, b""),
        (b"LREM", place.key, 1, b""),
    ]


def expire_results(keys: Keys, ids: Sequence[bytes], seconds: int) -> Command:
    """Return the command that has results without a job expire; it replies with their number."""
    names: List[Argument] = []
    for member in ids:
        names += [keys.document(member), keys.stored_result(member)]
    return (b"EVAL", _EXPIRE, len(names), *names, seconds)


def rights_to_expire(keys: Keys, ids: Sequence[bytes], seconds: int) -> List[Command]:
    """Return every command that this may run, with the keys that it runs it on."""
    command = expire_results(keys, ids, seconds)
    commands: List[Command] = [(b"EVAL", b"return 1", *command[2:-1])]
    for member in ids:
        result = keys.stored_result(member)
        commands += [(b"EXISTS", keys.document(member)), (b"TTL", result)]
        commands += [(b"EXPIRE", result, seconds)]
    return commands


class Placing(NamedTuple):
    """A job that stands nowhere, and where it goes.

    Attributes:
        member: The id.
        sum: The digest of its document.
        score: When it is due; None for one that is queued at once.
        target: The list that it goes to otherwise.
        lists: All lists in which it may stand, the target first.
    """

    member: bytes
    sum: str
    score: Optional[int]
    target: bytes
    lists: Sequence[bytes]


def place_job(keys: Keys, placing: Placing) -> Command:
    """Return the command that puts a job back; it replies with 1, or 0 where all has changed."""
    names = _names(keys, placing)
    score: Union[int, str] = "" if placing.score is None else placing.score
    return (b"EVAL", _PLACE, len(names), *names, placing.member, placing.sum, score)


def rights_to_place(keys: Keys, placing: Placing) -> List[Command]:
    """Return every command that this may run, with the keys that it runs it on."""
    names = _names(keys, placing)
    job, result, scheduled = names[:3]
    return [
        (b"EVAL", b"return 1", len(names), *names),
        (b"GET", job),
        (b"EXISTS", result),
        (b"ZSCORE", scheduled, b""),
        *((b"LPOS", name, b"") for name in names[3:]),
        (b"LPUSH", placing.target, b"") if placing.score is None else (b"ZADD", scheduled, 0, b""),
    ]


def _names(keys: Keys, placing: Placing) -> List[bytes]:
    first = [keys.document(placing.member), keys.stored_result(placing.member), keys.scheduled]
    return [*first, *dict.fromkeys([placing.target, *placing.lists])]
