"""The messages that the troubleshooting page explains are messages of this package."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "troubleshooting.md"
# Python says these.
_OF_OTHERS = {"No module named 'bananas'", "cannot import name 'AsyncClient' from 'bananas'"}
# What Redis or a worker says, at the end of a message of ours.
_TAIL = re.compile(r": (?:OOM|NOPERM|WRONGTYPE|no handler registered).*")
# Between two parts of one string in the source.
_SEAM = re.compile(r'"\s*\n\s*f?"')


def test_the_messages_are_ours() -> None:
    """What stands between two marks is said somewhere in the package, in these words."""
    modules = sorted((ROOT / "src" / "bananas").rglob("*.py"))
    texts = [_SEAM.sub("", module.read_text(encoding="utf-8")) for module in modules]
    page = PAGE.read_text(encoding="utf-8")
    messages = set(re.findall(r"^`([^`]+)`\n:   ", page, re.MULTILINE))
    assert messages > _OF_OTHERS
    for message in messages - _OF_OTHERS:
        pieces = [piece.strip(" :,") for piece in _TAIL.sub("", message).split("…")]
        told = [piece for piece in pieces if piece]
        assert told, message
        assert [one for one in told if not any(one in text for text in texts)] == []
