"""The scripts that move or delete a page of dead letters, each in one step of the server."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

from .._redis import Argument, Command

__all__ = ["Purge", "Requeue", "move_letters", "purge_letters", "rights_to_move", "rights_to_purge"]

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
