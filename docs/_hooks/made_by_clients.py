"""Leaves out the arguments of classes that only a client makes, for the pages of the API."""

from __future__ import annotations

import re
from typing import Any

import griffe

NAMES = {"DeadLetters", "ListedJobs", "RedisQueue", "RedisResultBackend"}
_ARGUMENTS = re.compile(r"^Args:\n(?:(?: +.*)?\n?)*?(?=^\S|\Z)", re.MULTILINE)


class MadeByClients(griffe.Extension):
    """Shortens the text of such a class."""

    def on_class_instance(self, *, cls: griffe.Class, **_: Any) -> None:
        """Take the section about arguments out of its text."""
        if cls.name in NAMES and cls.docstring:
            cls.docstring.value = _ARGUMENTS.sub("", cls.docstring.value)
