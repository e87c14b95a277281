"""The script that notes and recovers a page of taken jobs in one step of the server."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

from .._redis import Argument, Command
from .._wire import Keys
from .scripts import UNCHANGED, Script
from .taken_entries import Step

__all__ = ["TakenEntry", "TakenPage", "change_taken"]

# Entries move to the right when older ones leave: a long list is searched so far beyond the page.
_MARGIN = 1000
_WEEK = 7 * 24 * 3600
_DAY = 24 * 3600

# Everything is compared before it is changed: that the id is still there, that its note is the one
# that was read, that its document has not changed. All lists are asked for their lengths first,
# which fails for another type. A mark in the place of what leaves makes removing it one scan.
# A short list is searched as a whole, so that an id which stands there twice loses both.
_CHANGE = """
local taken, dead, scheduled, notes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local mark, ahead, behind = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local channel, kept, expiry = ARGV[4], ARGV[5], ARGV[6]
local fields = {}
for i = 1, tonumber(ARGV[7]) do fields[i] = ARGV[7 + i] end
local base = 7 + #fields
local total = (#ARGV - base) / 5
redis.call('LLEN', dead)
redis.call('ZCARD', scheduled)
redis.call('HLEN', notes)
local wanted = {}
for i = 1, total do
  redis.call('LLEN', KEYS[4 + 3 * i])
  wanted[ARGV[base + 5 * i - 3]] = {}
end
local first, last = 0, redis.call('LLEN', taken) - 1
if last >= 10000 then first, last = math.max(0, last + 1 - ahead), last - behind end
for i, id in ipairs(redis.call('LRANGE', taken, first, last)) do
  local places = wanted[id]
  if places then places[#places + 1] = first + i - 1 end
end
local codes, marked, noted = {}, 0, 0
for i = 1, total do
  local a = base + 5 * i - 5
  local action, id, sum, note, new = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5]
  local job, result, list = KEYS[2 + 3 * i], KEYS[3 + 3 * i], KEYS[4 + 3 * i]
  local places = wanted[id]
  codes[i] = 0
  local known = redis.call('HGET', notes, id) or ''
  if #places > 0 and string.sub(known, 1, #note) == note and unchanged(job, sum) then
    codes[i] = 1
    if action == 'note' then
      redis.call('HSET', notes, id, new)
      noted = noted + 1
    else
      for _, place in ipairs(places) do redis.call('LSET', taken, place, mark) end
      marked = marked + #places
      wanted[id] = {}
      redis.call('HDEL', notes, id)
      if action ~= 'drop' and redis.call('ZSCORE', scheduled, id) then
        codes[i] = 2
      elseif action == 'requeue' then
        redis.call('SET', job, new)
        redis.call('LPUSH', list, id)
      elseif action == 'finish' then
        redis.call('SET', job, new, 'EX', 86400)
      elseif action == 'bury' then
        redis.call('SET', job, new, 'EX', 604800)
        redis.call('DEL', result)
        redis.call('HSET', result, unpack(fields))
        redis.call('EXPIRE', result, kept)
        redis.call('LPUSH', dead, id)
        redis.call('PUBLISH', channel .. id, 'ready')
      end
    end
  end
end
if marked > 0 then redis.call('LREM', taken, -marked, mark) end
if noted > 0 then redis.call('EXPIRE', notes, expiry) end
return codes
"""


class TakenEntry(NamedTuple):
    """An entry among the taken jobs, as it was read, and what is to be done to it.

    Attributes:
        member: The id.
        sum: The digest of its document.
        note: What its note must begin with.
        step: What is to be done: ``note`` writes a note, all else takes the entry away.
    """

    member: bytes
    sum: bytes
    note: bytes
    step: Step


class TakenPage(NamedTuple):
    """A page of entries.

    Attributes:
        entries: The entries.
        ahead: How many entries stand from the right end of the list to the last one of the page.
        size: How many entries the whole page has, of which these are a part.
        mark: What stands in the place of an entry that leaves, inside the script only.
        kept: Seconds that the result of a job that ends is kept.
        expiry: Seconds after which the notes go if nobody looks any more.
        fields: Names and values of the result of a job that ends.
    """

    entries: Sequence[TakenEntry]
    ahead: int
    size: int
    mark: bytes
    kept: int
    expiry: int
    fields: Sequence[Argument]


def change_taken(keys: Keys, page: TakenPage) -> Script:
    """Return the script that carries out a page.

    It replies with a number for each entry: 0 where it or its document has changed, 1 where it was
    done, 2 where the job is among the scheduled ones too, and the entry was only removed.
    """
    names = [keys.processing, keys.dead, keys.scheduled, keys.taken_notes]
    arguments: List[Argument] = [
        page.mark, page.ahead, max(0, page.ahead - page.size - _MARGIN), keys.announcement(b""),
        page.kept, page.expiry, len(page.fields), *page.fields,
    ]  # fmt: skip
    for each in page.entries:
        target = each.step.target or keys.dead
        names += [keys.document(each.member), keys.stored_result(each.member), target]
        arguments += [each.step.action, each.member, each.sum, each.note, each.step.new]
    return Script(UNCHANGED + _CHANGE, names, arguments, _rights(keys, page))


def _rights(keys: Keys, page: TakenPage) -> List[Command]:
    taken, notes = keys.processing, keys.taken_notes
    commands: List[Command] = [
        (b"LLEN", taken),
        (b"LRANGE", taken, 0, 0),
        (b"LLEN", keys.dead),
        (b"ZCARD", keys.scheduled),
        (b"HLEN", notes),
        (b"HGET", notes, b""),
        (b"HSET", notes, b"", b""),
        (b"EXPIRE", notes, page.expiry),
    ]
    if any(each.step.action != "note" for each in page.entries):
        commands += [
            (b"LSET", taken, 0, b""),
            (b"LREM", taken, -1, b""),
            (b"HDEL", notes, b""),
            (b"ZSCORE", keys.scheduled, b""),
        ]
    for each in page.entries:
        commands += _rights_to(keys, page, each)
    return commands


def _rights_to(keys: Keys, page: TakenPage, entry: TakenEntry) -> List[Command]:
    job, action = keys.document(entry.member), entry.step.action
    commands: List[Command] = [(b"GET", job)]
    if action == "requeue":
        target = entry.step.target or b""
        commands += [(b"SET", job, b""), (b"LLEN", target), (b"LPUSH", target, b"")]
    elif action == "finish":
        commands.append((b"SET", job, b"", b"EX", _DAY))
    elif action == "bury":
        result = keys.stored_result(entry.member)
        commands += [
            (b"SET", job, b"", b"EX", _WEEK),
            (b"DEL", result),
            (b"HSET", result, *page.fields),
            (b"EXPIRE", result, page.kept),
            (b"LPUSH", keys.dead, b""),
            (b"PUBLISH", keys.announcement(entry.member), b"ready"),
        ]
    return commands
