"""Times that people write on a command line."""

from __future__ import annotations

import sys
from datetime import datetime, timezone

import pytest
import typer

from bananas.cli.arguments import due_at

_NAMES = sys.version_info >= (3, 9)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2030-07-31T07:00:00Z", 7),
        ("2030-07-31 09:00 Europe/Berlin", 7),
        ("2030-01-31T09:00:00 Europe/Berlin", 8),
        ("2030-07-31 09:00 UTC", 9),
    ],
)
def test_a_time_in_a_zone(text: str, hour: int) -> None:
    """A name of a time zone counts with the offset that it has at that time."""
    if text.endswith("Z") or _NAMES:
        due = due_at(text, None)
        assert isinstance(due, datetime)
        assert due.astimezone(timezone.utc).hour == hour
    else:
        with pytest.raises(typer.BadParameter, match=r"needs Python 3\.9"):
            due_at(text, None)


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "2030-07-31 09:00",
        "2030-07-31 09:00 Europe/Nowhere",
        "2030-07-31 09:00 ../etc/passwd",
        "2030-07-31 09:00+01:00 Europe/Berlin",
        "soon Europe/Berlin",
        " Europe/Berlin",
        "2030-07-31 09:00  Europe",
    ],
)
def test_what_is_no_time(text: str) -> None:
    """It is refused, and the message names the option."""
    with pytest.raises(typer.BadParameter, match="--at"):
        due_at(text, None)
