"""What people write on a command line, made into values: payloads, times, spans of time."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn, Optional, Union

import typer

from .exit_status import INTERRUPTED, end

__all__ = ["due_at", "payload_of", "span_of", "timeout_of"]

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}
_SPAN = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[dhms])+\Z|[0-9]+(?:\.[0-9]+)?\Z")
_ZONE = re.compile(r" ([A-Za-z]+(?:/[A-Za-z0-9_+-]+)*)\Z")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([dhms]?)")


def payload_of(text: str) -> Any:
    """Return a payload from JSON text, a file (``@FILE``), or stdin (``-``)."""
    try:
        if text == "-":
            text = _read_stdin()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"can't read {text[1:]}: {str(error.strerror).lower()}") from None
    except UnicodeDecodeError:
        raise typer.BadParameter("the payload is not UTF-8") from None
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise typer.BadParameter("the payload is nested too deeply") from None
    except ValueError as error:
        reason = error.msg.lower() if isinstance(error, json.JSONDecodeError) else str(error)
        raise typer.BadParameter(
            f"the payload is not JSON: {reason}; write a string with quotation marks: '\"text\"'"
        ) from None


def _read_stdin() -> str:
    try:
        return sys.stdin.read()
    except KeyboardInterrupt:
        end(INTERRUPTED, "interrupted; nothing was submitted")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def span_of(text: str, option: str) -> timedelta:
    """Return a span of time: ``90``, ``90s``, ``5m``, ``1h30m``, ``3d``."""
    if not _SPAN.match(text):
        raise typer.BadParameter(f"{option} must be a span of time, such as 90s, 5m or 3d")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise typer.BadParameter(f"{option} is too long") from None


def timeout_of(text: str) -> Optional[timedelta]:
    """Return the limit of a wait; None for ``none``."""
    return None if text == "none" else span_of(text, "--timeout")


def due_at(at: Optional[str], after: Optional[str]) -> Union[datetime, timedelta, None]:
    """Return when a job is due, from ``--at`` or ``--in``; None where neither is given."""
    if at is not None and after is not None:
        raise typer.BadParameter("pass --at or --in, not both")
    if after is not None:
        return span_of(after, "--in")
    return None if at is None else _moment(at)


def _moment(text: str) -> datetime:
    zone = _ZONE.search(text)
    if zone is not None:
        return _moment_in(text[: zone.start()], zone[1])
    try:
        # Python 3.8 to 3.10 know no Z.
        moment = datetime.fromisoformat(re.sub(r"[zZ]\Z", "+00:00", text))
    except ValueError:
        raise typer.BadParameter(
            "--at must be a time, such as 2030-01-31T12:00:00Z or '2030-01-31 12:00 Europe/Berlin'"
        ) from None
    if moment.utcoffset() is None:
        raise typer.BadParameter(
            "--at needs a time zone: end it with Z, with +01:00, or with ' Europe/Berlin'"
        )
    return moment


def _moment_in(text: str, name: str) -> datetime:
    """Return the moment in which clocks in a time zone show a time."""
    try:
        from zoneinfo import ZoneInfo
    except ImportError:  # Python 3.8
        raise typer.BadParameter(
            "--at needs Python 3.9 for the name of a time zone: end it with Z or +01:00"
        ) from None
    try:
        zone = ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        raise typer.BadParameter(
            f"--at has the time zone {name}, which is not on this machine: end it with Z or +01:00"
        ) from None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"--at must be a time, such as '2030-01-31 12:00 {name}'"
        ) from None
    if moment.tzinfo is not None:
        raise typer.BadParameter(f"--at has two time zones: leave out {name}, or the offset")
    return moment.replace(tzinfo=zone)
