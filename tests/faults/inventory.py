"""What a server holds of the queue: which ids stand where, and which have a document."""

from __future__ import annotations

from collections import Counter
from typing import Counter as CounterType
from typing import Set

from tests.support import RedisServer

__all__ = ["Inventory", "nothing_left", "queued_once"]

_JOB = b"bananas:job:"


class Inventory:
    """A look at every list, every sorted set and every document, all at one moment.

    Attributes:
        queued: How often each id stands in a list or a sorted set.
        documents: The ids that have a document.
    """

    def __init__(self, server: RedisServer) -> None:
        self.queued: CounterType[str] = Counter()
        self.documents: Set[str] = set()
        documents, queued = server.command("EVAL", _LOOK, 0)
        self.documents.update(key[len(_JOB) :].decode() for key in documents)
        self.queued.update(job_id.decode() for job_id in queued)


_LOOK = """
local documents, queued = {}, {}
for _, key in ipairs(redis.call('KEYS', '*')) do
    local kind = redis.call('TYPE', key)['ok']
    local ids = {}
    if kind == 'list' then
        ids = redis.call('LRANGE', key, 0, -1)
    elseif kind == 'zset' then
        ids = redis.call('ZRANGE', key, 0, -1)
    elseif string.sub(key, 1, 12) == 'bananas:job:' then
        table.insert(documents, key)
    end
    for _, id in ipairs(ids) do
        table.insert(queued, id)
    end
end
return {documents, queued}
"""


def queued_once(server: RedisServer, *job_ids: str) -> None:
    """Check that these jobs, and no others, stand once in one place and have a document."""
    found = Inventory(server)
    wanted = Counter(set(job_ids))
    missing, more = wanted - found.queued, found.queued - wanted
    assert found.queued == wanted, f"missing {missing}, and more than wanted {more}"
    assert found.documents == set(job_ids), f"{found.documents} have a document"


def nothing_left(server: RedisServer, *allowed: str) -> None:
    """Check that there is no key but these."""
    keys = {key.decode() for key in server.command("KEYS", "*")}
    assert keys <= set(allowed)
