"""The script that requeues or deletes a few dead letters in one step of the server."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence

from .._redis import Argument, Command
from .._wire import Keys
from .finished_jobs import requeued
from .scripts import UNCHANGED, Script, digest

__all__ = ["Letter", "clear_letters"]

# A letter without a new document is deleted. A mark in the place of each that leaves makes removing
# them one scan of the list.
_CLEAR = """
local dead, mark, done = KEYS[1], ARGV[1], {}
local total = (#ARGV - 1) / 4
for i = 1, total do
  if ARGV[4*i+1] ~= '' then redis.call('LLEN', KEYS[3*i+1]) end
end
for i = 1, total do
  local index, id, sum, new = ARGV[4*i-2], ARGV[4*i-1], ARGV[4*i], ARGV[4*i+1]
  local job, result, list = KEYS[3*i-1], KEYS[3*i], KEYS[3*i+1]
  if unchanged(job, sum) and redis.call('LINDEX', dead, index) == id then
    redis.call('LSET', dead, index, mark)
    if new == '' then
      redis.call('DEL', job, result)
    else
      redis.call('SET', job, new)
      redis.call('DEL', result)
      redis.call('LPUSH', list, id)
    end
    done[#done + 1] = i
  end
end
if #done > 0 then redis.call('LREM', dead, -#done, mark) end
return done
"""


class Letter(NamedTuple):
    """A dead letter that is meant.

    Attributes:
        place: Where it stands in the list, counted from the right end, below 0.
        member: Its id.
        document: Its document as it was read; None where it has none.
        target: The list that it goes to; None where it is deleted.
    """

    place: int
    member: bytes
    document: Optional[bytes]
    target: Optional[bytes]

    def renewed(self) -> bytes:
        """Return its document when it is queued again; nothing where it is deleted."""
        return b"" if self.target is None else requeued(self.document or b"")


def clear_letters(keys: Keys, letters: Sequence[Letter], mark: bytes) -> Script:
    """Return the script, which replies with the numbers of those that it cleared, from 1 on."""
    names = [keys.dead]
    arguments: List[Argument] = [mark]
    for each in letters:
        target = each.target or keys.dead
        names += [keys.document(each.member), keys.stored_result(each.member), target]
        arguments += [each.place, each.member, digest(each.document), each.renewed()]
    return Script(UNCHANGED + _CLEAR, names, arguments, _rights(keys, letters))


def _rights(keys: Keys, letters: Sequence[Letter]) -> List[Command]:
    dead = keys.dead
    commands: List[Command] = [
        (b"LINDEX", dead, 0), (b"LSET", dead, 0, b""), (b"LREM", dead, -1, b""),
    ]  # fmt: skip
    for target in dict.fromkeys(each.target for each in letters if each.target is not None):
        commands += [(b"LLEN", target), (b"LPUSH", target, b"")]
    for each in letters:
        job, result = keys.document(each.member), keys.stored_result(each.member)
        commands.append((b"GET", job))
        if each.target is None:
            commands.append((b"DEL", job, result))
        else:
            commands += [(b"SET", job, b""), (b"DEL", result)]
    return commands
