"""Reads documents in pages that hold the server for a moment only."""

from __future__ import annotations

from typing import List, Optional, Sequence

from .. import exceptions as exc
from .._redis import ReplyError
from .._wire import Keys
from .connection import Runs

__all__ = ["PAGE_BYTES", "PAGE_IDS", "read_page", "read_sizes", "read_step", "step_of"]

#: A page ends at so many ids, or at so many bytes of documents.
PAGE_IDS = 500
PAGE_BYTES = 1 << 20


async def read_page(conn: Runs, keys: Keys, ids: Sequence[bytes]) -> List[Optional[bytes]]:
    """Return the document of each id, and None for one that has none.

    Documents are read in steps of at most 500, or 1 MiB; a longer one has a step of its own. What
    holds something else than a document counts as none.

    Raises:
        ServerError: Redis refuses.
    """
    found: List[Optional[bytes]] = []
    for start in range(0, len(ids), PAGE_IDS):
        names = [keys.document(member) for member in ids[start : start + PAGE_IDS]]
        sizes = await read_sizes(conn, keys, ids[start : start + PAGE_IDS])
        while names:
            count = step_of(sizes)
            found += await _read(conn, names[:count])
            names, sizes = names[count:], sizes[count:]
    return found


async def read_sizes(conn: Runs, keys: Keys, ids: Sequence[bytes]) -> List[int]:
    """Return the length of each document; 0 for one that is not there, or can't be read."""
    sizes = await conn.run([(b"STRLEN", keys.document(one)) for one in ids], again=True)
    return [size if isinstance(size, int) else 0 for size in sizes]


def step_of(sizes: Sequence[int]) -> int:
    """Return how many of the first documents one step may read: one at least."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if count and total > PAGE_BYTES:
            return count
    return len(sizes)


async def read_step(conn: Runs, keys: Keys, ids: Sequence[bytes]) -> List[Optional[bytes]]:
    """Return documents whose lengths ``step_of`` has allowed for."""
    return await _read(conn, [keys.document(one) for one in ids])


async def _read(conn: Runs, names: Sequence[bytes]) -> List[Optional[bytes]]:
    (reply,) = await conn.run([(b"MGET", *names)], again=True)
    if isinstance(reply, ReplyError):
        raise exc.ServerError(f"Redis refuses to read documents: {reply}", code=reply.code)
    documents: List[Optional[bytes]] = reply
    return documents
