"""Reads documents in parts that hold the server for a moment only."""

from __future__ import annotations

from typing import List, Optional, Sequence

from .deployment import Deployment

__all__ = ["PAGE_IDS", "pages", "parts", "read_all_documents", "read_documents"]

#: A part ends at so many ids, or at so many bytes of documents.
PAGE_IDS = 500
_PART_BYTES = 1 << 20


def pages(ids: Sequence[bytes]) -> List[Sequence[bytes]]:
    """Divide ids into pages of at most 500."""
    return [ids[start : start + PAGE_IDS] for start in range(0, len(ids), PAGE_IDS)]


async def parts(deployment: Deployment, page: Sequence[bytes]) -> List[Sequence[bytes]]:
    """Divide a page into parts whose documents have at most 1 MiB; a longer one is a part itself.

    What holds something else than a document counts as empty.
    """
    keys = deployment.keys
    lengths = await deployment.connection.run(
        [(b"STRLEN", keys.document(member)) for member in page], again=True
    )
    found: List[Sequence[bytes]] = []
    begin = total = 0
    for at, length in enumerate(lengths):
        size = length if isinstance(length, int) else 0
        if at > begin and total + size > _PART_BYTES:
            found.append(page[begin:at])
            begin, total = at, 0
        total += size
    return [*found, page[begin:]] if page else []


async def read_documents(deployment: Deployment, part: Sequence[bytes]) -> List[Optional[bytes]]:
    """Return the document of each id, and None for one that has none.

    Raises:
        exceptions.ServerError: Redis refuses.
    """
    names = [deployment.keys.document(member) for member in part]
    documents: List[Optional[bytes]] = await deployment.ask((b"MGET", *names), "read documents")
    return documents


async def read_all_documents(deployment: Deployment, ids: Sequence[bytes]) -> List[Optional[bytes]]:
    """Return the documents of any number of ids, read part by part."""
    found: List[Optional[bytes]] = []
    for page in pages(ids):
        for part in await parts(deployment, page):
            found += await read_documents(deployment, part)
    return found
