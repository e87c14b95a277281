"""Classes in front of those of what is recorded."""

from __future__ import annotations

from typing import Any, Dict, Tuple, TypeVar

from .recording import Recorder

__all__ = ["class_before", "view_of"]

Part = TypeVar("Part")

#: What was made, by the traced class and the own one.
_made: Dict[Tuple[type, type], type] = {}


def class_before(own: type, traced: type) -> type:
    """Return a class with the methods of ``traced`` before those of ``own``, and its name."""
    found = _made.get((traced, own))
    if found is None:
        about = {"__module__": own.__module__, "__doc__": own.__doc__}
        found = _made.setdefault((traced, own), type(own.__name__, (traced, own), about))
    return found


def view_of(part: Part, traced: type, recorder: Recorder) -> Part:
    """Return a part of a client with another class; all it remembers is that of the part."""
    view: Any = object.__new__(class_before(type(part), traced))
    view.__dict__ = part.__dict__
    view._plain = part
    view._recorder = recorder
    found: Part = view
    return found
