"""Classes in front of those of what is recorded."""

from __future__ import annotations

from typing import Any, Dict, Tuple, TypeVar

from .iteration import Iteration
from .recording import Recorder

__all__ = ["class_before", "recorded_steps", "view_of"]

Part = TypeVar("Part")
Steps = TypeVar("Steps")

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


def recorded_steps(steps: Steps, traced: type, record: Iteration) -> Steps:
    """Have an iterator recorded from now on, and return it."""
    made: Any = steps
    made._record = record
    made.__class__ = class_before(type(steps), traced)
    return steps
