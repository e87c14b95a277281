"""Goes through all places in which the id of a job may stand."""

from __future__ import annotations

from typing import AsyncIterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from .._wire import Keys
from .deployment import Deployment, name_of
from .document_pages import pages
from .listing import ListPages, SetPages

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

    @property
    def name(self) -> str:
        """The name of its key, for people."""
        return name_of(self.key)


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
    ready = [Place(key, f"the list {name_of(key)}", "ready") for key in keys.all_ready(routes)]
    return [
        Place(keys.scheduled, "the scheduled jobs", "scheduled"),
        *ready,
        Place(keys.processing, "the taken jobs", "taken"),
        Place(keys.dead, "the dead letters", "dead"),
    ]


async def place_pages(
    deployment: Deployment, place: Place
) -> AsyncIterator[Tuple[List[bytes], Window]]:
    """Iterate over the ids of a place, at most 500 at a time."""
    source: Union[ListPages, SetPages]
    from_left = place.kind == "ready"
    if place.kind == "scheduled":
        source = SetPages(deployment)
    else:
        source = ListPages(deployment, place.key, newest_first=from_left)
    while True:
        ids = [member.id for member in await source.next()]
        if not ids:
            return
        reached = source.reached if isinstance(source, ListPages) else len(ids)
        yield ids, Window(from_left, max(0, reached - len(ids)), reached)


async def ids_without_document(deployment: Deployment, ids: Sequence[bytes]) -> List[bytes]:
    """Return those that have no document."""
    found: List[bytes] = []
    for page in pages(ids):
        names = [deployment.keys.document(member) for member in page]
        # One number for all of them mostly says that nothing is amiss.
        if int(await deployment.ask((b"EXISTS", *names))) == len(page):
            continue
        replies = await deployment.connection.run([(b"EXISTS", name) for name in names], again=True)
        found += [member for member, reply in zip(page, replies) if reply == 0]
    return found
