"""Reads documents in pages that hold the server for a moment only."""

from __future__ import annotations

from typing import List, Optional, Sequence

from .. import exceptions as exc
from .._redis import ReplyError
from .._wire import Keys
from .connection import Runs

__all__ = ["PAGE_BYTES", "PAGE_IDS", "read_page"]

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
        sizes = await conn.run([(b"STRLEN", name) for name in names], again=True)
        step: List[bytes] = []
        total = 0
        for name, size in zip(names, sizes):
            length = size if isinstance(size, int) else 0
            if step and total + length > PAGE_BYTES:
                found += await _read(conn, step)
                step, total = [], 0
            step.append(name)
            total += length
        found += await _read(conn, step)
    return found


async def _read(conn: Runs, names: Sequence[bytes]) -> List[Optional[bytes]]:
    (reply,) = await conn.run([(b"MGET", *names)], again=True)
    if isinstance(reply, ReplyError):
        raise exc.ServerError(f"Redis refuses to read documents: {reply}", code=reply.code)
    documents: List[Optional[bytes]] = reply
    return documents
