"""Edits the members of a stored document, and leaves every other byte as it is."""

from __future__ import annotations

from typing import AbstractSet, Dict, List, Mapping, Tuple

from .. import exceptions as exc
from .._wire import MAX_NESTING, loads, loads_members, scan_members

__all__ = ["kept_changing", "rewritten"]

# Each byte is one character. So positions in the text are positions in the document, and a
# payload that is not UTF-8 does not change.
_BYTES = "latin-1"

_Member = Tuple[str, Tuple[int, int]]


def rewritten(
    document: bytes, changes: Mapping[str, bytes], drop: AbstractSet[str] = frozenset()
) -> bytes:
    """Return a document with some of its members set, and others left out.

    A name is recognised as Go recognises it: with escapes, in either case, and with the two
    letters beyond ASCII that fold to ``s`` and ``k``. Of several members of one name the first is
    set, and the others, of which Go would take the last, are left out.

    Args:
        document: The JSON text of an object, as it is stored.
        changes: The JSON texts of the members to set; what is not there is put at the end.
        drop: The names of the members to leave out.

    Raises:
        exceptions.SerializationError: It is no JSON object, to Go either.
    """
    text = document.decode(_BYTES)
    members = _members(text)
    missing = dict(changes)
    pieces: List[str] = []
    opening = begin = text.index("{") + 1
    for place, (name, (start, end)) in enumerate(members, 1):
        # Between a value and what ends its member there is only white space.
        until = text.index("}" if place == len(members) else ",", end)
        folded = name.translate(_FOLDS)
        if folded in missing:
            head = text[begin:start] if name == folded else f'"{folded}":'
            pieces.append(head + missing.pop(folded).decode(_BYTES) + text[end:until])
        elif folded not in changes and folded not in drop:
            pieces.append(text[begin:until])
        begin = until + 1
    closing = begin - 1 if members else text.index("}")
    pieces += (f'"{name}":{value.decode(_BYTES)}' for name, value in missing.items())
    return (text[:opening] + ",".join(pieces) + text[closing:]).encode(_BYTES)


def _members(text: str) -> List[_Member]:
    """Return names and the places of their values; most documents are read by the C scanner."""
    found: List[_Member] = [(name, place) for name, _, place in loads_members(text, "job document")]
    if not found and "{" not in text:
        raise exc.SerializationError("job document is null, not an object")
    if all(name.isascii() for name, _ in found):
        return found
    # An escape and bytes of UTF-8 look the same by now; the quoted names tell them apart.
    return [(loads(name.encode(_BYTES)), place) for name, place in scan_members(text, MAX_NESTING)]


# Characters that Go treats as equal when it compares a name with that of a field.
_FOLDS: Dict[int, str] = {
    **{ord("A") + n: chr(ord("a") + n) for n in range(26)},
    0x17F: "s",
    0x212A: "k",
}


def kept_changing(words: str, job_id: str, *, may_be_done: bool) -> exc.TimeoutError:
    """Return the error of a call that gives up, since others change the document all the time.

    Args:
        words: What was to be done, after "can't".
        job_id: The job.
        may_be_done: Whether the reply to an attempt was lost, so that it may have been carried out.
    """
    if may_be_done:
        message = (
            f"can't tell whether this was done: {words}: a reply was lost, and its document kept "
            "changing; look at the job before you try again"
        )
    else:
        message = f"can't {words}: its document kept changing; nothing was done, try again"
    return exc.TimeoutError(message, job_id=job_id, not_done=not may_be_done)
