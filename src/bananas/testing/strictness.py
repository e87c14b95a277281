"""What strict mode says where a job has no handler."""

from __future__ import annotations

import difflib
from typing import Collection

__all__ = ["UnknownJobError", "no_handler", "similar"]


class UnknownJobError(AssertionError):
    """In strict mode, a job without a handler was submitted or taken."""


def no_handler(name: str, names: Collection[str]) -> str:
    """Return the sentence that says so, with the names that there are handlers for."""
    text = f"no handler for the job name {name!r}{similar(name, names)}"
    known = ", ".join(sorted(names)) or "none yet"
    return f"{text}; there are handlers for: {known}"


def similar(name: str, names: Collection[str]) -> str:
    """Return a question after the name that was meant, if there is a likely one."""
    found = difflib.get_close_matches(name, names, 1)
    return f": did you mean {found[0]!r}?" if found else ""
