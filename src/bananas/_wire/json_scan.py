"""Finds the members of a JSON object without decoding their values, however deeply they nest."""

from __future__ import annotations

import re
from typing import List, Match, Optional, Tuple

__all__ = ["Undecoded", "scan_members"]

_SPACE = r"[ \t\n\r]*"
_STRING = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"


class Undecoded:
    """Stands for a value that Go reads and this interpreter can't.

    Args:
        reason: Why it can't, to go after the name of the value.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


def scan_members(text: str, most_levels: int) -> List[Tuple[str, Tuple[int, int]]]:
    """Return the members of a JSON object, in their order: the quoted name, and where the value is.

    Args:
        text: The JSON text.
        most_levels: Containers inside containers that are read at most, the object itself included.

    Raises:
        ValueError: It is no object, no JSON, or nested too deeply.
    """
    value = re.compile(rf"{_SPACE}(?:([\[{{])|{_STRING}|{_NUMBER}|true|false|null)").match
    mark = re.compile(rf"{_SPACE}([\]}},])").match
    name = re.compile(rf"{_SPACE}({_STRING}){_SPACE}:{_SPACE}").match
    found: List[Tuple[str, Tuple[int, int]]] = []
    closing: List[str] = []  # what closes each of the containers that are open
    member, start, at = "", 0, 0
    while True:
        match = _demand(value(text, at))
        at = match.end()
        if match[1]:
            closing.append("}" if match[1] == "{" else "]")
        if not 0 < len(closing) <= most_levels or closing[0] != "}":
            raise ValueError
        following = mark(text, at)
        if not match[1] or (following is not None and following[1] == closing[-1]):
            while True:  # a value has ended, or a container without members
                following = _demand(mark(text, at))
                if len(closing) == 1 and member:
                    found.append((member, (start, at)))
                    member = ""
                at = following.end()
                if following[1] == ",":
                    break
                if closing.pop() != following[1]:
                    raise ValueError
                if not closing:
                    if text[at:].strip(" \t\n\r"):
                        raise ValueError
                    return found
        if closing[-1] == "}":
            match = _demand(name(text, at))
            at = match.end()
            if len(closing) == 1:
                member, start = match[1], at


def _demand(match: Optional[Match[str]]) -> Match[str]:
    if match is None:
        raise ValueError
    return match
