"""Draws the pictures of the demo in the README from a run: ``python -m tests.picture``."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from typing import Tuple

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from bananas.cli.demo import run_demo
from bananas.cli.demo_view import View

ASSETS = Path(__file__).resolve().parent.parent / "docs" / "assets"
COLUMNS = 60
COMMAND = "$ python -m bananas demo"

# The paper, the ink, and black, red, green, yellow, blue, magenta, cyan and white.
LIGHT = ("f6f8fa", "0d1117", "0d1117 b31d28 116329 7d4e00 0950ae 8250df 146373 57606a")
DARK = ("161b22", "e6edf3", "e6edf3 ff7b72 56d364 e3b341 79c0ff d2a8ff 56d4dd b1bac4")
# As rich has it, without the window's buttons and without a font from elsewhere.
FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="-9 -24 {width} {height}" role="img">
<title>What python -m bananas demo prints</title>
<style>
text {{ font: {char_height}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }}
{styles}
</style>
<rect x="-9" y="-24" width="100%" height="100%" rx="8" fill="PAPER"/>
{matrix}
</svg>
"""


def main() -> None:
    """Run the demo once, and write what it showed in both colour schemes."""
    # A file, and not a terminal, of which each line stays; the colours are recorded all the same.
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), color_system="standard", highlight=False
    )
    console.print(Text(COMMAND))
    with View(console, embedded=True, emulated=True) as view:
        rows = asyncio.run(
            run_demo(None, worker=True, timeout=60, started=view.started, show=view.show)
        )
    view.finish(rows)
    for name, colors in (("demo.svg", LIGHT), ("demo_dark.svg", DARK)):
        (ASSETS / name).write_text(drawn(console, *colors), encoding="utf-8")


def drawn(console: Console, paper: str, ink: str, colors: str) -> str:
    """Return what a console has recorded as SVG, in such colours."""
    theme = TerminalTheme(_rgb(paper), _rgb(ink), [_rgb(color) for color in colors.split()])
    drawn = console.export_svg(
        theme=theme, code_format=FORMAT.replace("PAPER", f"#{paper}"), clear=False, unique_id="demo"
    )
    drawn = re.sub(' clip-path="[^"]*"', "", drawn)
    return re.sub("<text[^>]*>\\s*</text>", "", drawn).replace("</text><text", "</text>\n<text")


def _rgb(color: str) -> Tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color)
    return red, green, blue


if __name__ == "__main__":
    main()
