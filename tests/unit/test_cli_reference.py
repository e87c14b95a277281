"""The reference page of the command line names every command, with every option of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator, Set, Tuple

import pytest
import typer.main

from bananas.cli.app import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"
_SHARED = "Common options"


def sections() -> Dict[str, str]:
    """Return the text of each section of the page, by its title."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def commands(group: Any, before: str = "bananas") -> Iterator[Tuple[str, Any]]:
    """Yield each command with what is typed to call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before} {name}")
        else:
            yield f"{before} {name}", command


COMMANDS = dict(commands(typer.main.get_command(app)))


def named(text: str) -> Set[str]:
    """Return the options that a text names."""
    return set(re.findall(r"(?<![\w-])--[a-z-]+", text))


def test_sections() -> None:
    """There is a section for each command, and for nothing else."""
    assert set(sections()) - {_SHARED} == {f"`{name}`" for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_options(name: str) -> None:
    """A section names each option of its command, unless all commands share it."""
    texts = sections()
    text = texts[f"`{name}`"]
    for other in re.findall(r"the options\s+of\s+`(\w+)`", text):
        text += texts[f"`bananas {other}`"]
    parameters = COMMANDS[name].params
    options = {spelling for one in parameters for spelling in one.opts if spelling[:2] == "--"}
    assert options - named(text) - named(texts[_SHARED]) == set()
