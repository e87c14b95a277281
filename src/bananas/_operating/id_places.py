"""Goes through all places in which the id of a job may stand."""

from __future__ import annotations

from typing import AsyncIterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from .._wire import Keys
from .connection import OperatingConnection
from .document_pages import PAGE_IDS
from .listing import ListPages, SetPages, ask

__all__ = ["Place", "Window", "all_places", "ids_without_document", "place_pages"]


class Place(NamedTuple):
    """A place of ids.

    Attributes:
        key: Its key.
        words: What it is called.
        kind: ``scheduled``, ``ready``, ``taken`` or ``dead``.
    """

    key: bytes
    words: str
    kind: str


class Window(NamedTuple):
    """Where a page stands in its list, in entries from the end at which reading began.

    Attributes:
        from_left: Whether that is the left end.
        begin: How many stand before the page.
        end: How many stand before what follows the page.
    """

    from_left: bool
    begin: int
    end: int


def all_places(keys: Keys, routes: Sequence[Optional[str]]) -> List[Place]:
    """Return all places, in the order in which a job passes through them.

    Who reads them in this order finds each job whose document has not changed meanwhile.
    """
    ready = [Place(key, f"the list {_text(key)}", "ready") for key in keys.all_ready(routes)]
    return [
        Place(keys.scheduled, "the scheduled jobs", "scheduled"),
        *ready,
        Place(keys.processing, "the taken jobs", "taken"),
        Place(keys.dead, "the dead letters", "dead"),
    ]


async def place_pages(
    conn: OperatingConnection, place: Place
) -> AsyncIterator[Tuple[List[bytes], Window]]:
    """Iterate over the ids of a place, at most 500 at a time."""
    pages: Union[ListPages, SetPages]
    from_left = place.kind == "ready"
    if place.kind == "scheduled":
        pages = SetPages(conn, place.key)
    else:
        pages = ListPages(conn, place.key, newest_first=from_left)
    while True:
        ids = [member.id for member in await pages.next()]
        if not ids:
            return
        reached = pages.reached if isinstance(pages, ListPages) else len(ids)
        yield ids, Window(from_left, max(0, reached - len(ids)), reached)


async def ids_without_document(
    conn: OperatingConnection, keys: Keys, ids: Sequence[bytes]
) -> List[bytes]:
    """Return those that have no document."""
    found: List[bytes] = []
    for start in range(0, len(ids), PAGE_IDS):
        part = ids[start : start + PAGE_IDS]
        names = [keys.document(member) for member in part]
        # One number for all of them mostly says that nothing is amiss.
        if int(await ask(conn, (b"EXISTS", *names))) == len(part):
            continue
        replies = await conn.run([(b"EXISTS", name) for name in names], again=True)
        found += [member for member, reply in zip(part, replies) if reply == 0]
    return found


def _text(key: bytes) -> str:
    return key.decode("utf-8", "replace")
