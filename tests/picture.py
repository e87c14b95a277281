"""Draws the pictures of the demo in the README from a run: ``python -m tests.picture``."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from typing import Any, List, Tuple

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from bananas.cli.demo import run_demo
from bananas.cli.demo_view import View

ASSETS = Path(__file__).resolve().parent.parent / "docs" / "assets"
COLUMNS = 60
#: The picture for wide pages has the code beside the story, with a gap.
GAP = 3
COMMAND = "$ python -m bananas demo  # shortened"
#: What the pictures leave out: where the jobs go, and steps that have another step after them.
LEFT_OUT = re.compile(
    r"Redis: |worker: |.* (a worker runs it|attempt \d runs|queued, waits for a free worker)$"
)
CODE_FOLLOWS = "The code for one of them:"

# The paper, the ink, and black, red, green, yellow, blue, magenta, cyan and white.
LIGHT = ("f6f8fa", "0d1117", "0d1117 b31d28 116329 7d4e00 0950ae 8250df 146373 57606a")
DARK = ("161b22", "e6edf3", "e6edf3 ff7b72 56d364 e3b341 79c0ff d2a8ff 56d4dd b1bac4")
# As rich has it, without the window's buttons and without a font from elsewhere.
FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="-9 -5 WIDTH HEIGHT" role="img">
<title>What python -m bananas demo prints, without some of its lines</title>
<style>
text {{ font: {char_height}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }}
{styles}
</style>
<rect x="-9" y="-5" width="100%" height="100%" rx="8" fill="PAPER"/>
{matrix}
</svg>
"""


class Recorder(Console):
    """A console that keeps what is printed as lines, with their colours."""

    def __init__(self) -> None:
        # A file, and not a terminal, of which each line stays.
        super().__init__(file=io.StringIO(), highlight=False)
        self.lines: List[Text] = []

    def print(self, *objects: Any, **_: Any) -> None:
        """Keep lines that are printed as texts."""
        for text in objects:
            self.lines += text.split("\n", allow_blank=True)


def main() -> None:
    """Run the demo once, and write what it showed for two widths in both colour schemes."""
    story, code = run()
    pictures = {"demo": beside(story, code), "demo_narrow": [*story, Text(), *code]}
    for name, lines in pictures.items():
        for scheme, colors in (("", LIGHT), ("_dark", DARK)):
            (ASSETS / f"{name}{scheme}.svg").write_text(drawn(lines, *colors), encoding="utf-8")


def run() -> Tuple[List[Text], List[Text]]:
    """Run the demo; return the lines about its jobs, and those about the code."""
    console = Recorder()
    with View(console, embedded=True, emulated=True) as view:
        rows = asyncio.run(
            run_demo(None, worker=True, timeout=60, started=view.started, show=view.show)
        )
    view.finish(rows)
    at = [line.plain for line in console.lines].index(CODE_FOLLOWS)
    story = [line for line in console.lines[:at] if line and not LEFT_OUT.match(line.plain)]
    return [Text(COMMAND), Text(), *story[:-1], Text(), story[-1]], console.lines[at:]


def beside(story: List[Text], code: List[Text]) -> List[Text]:
    """Return the code to the right of the story."""
    rows = [line.copy() for line in story]
    for row in rows:
        row.truncate(COLUMNS + GAP, pad=True)
    # The code begins where the jobs do.
    return [row + line for row, line in zip(rows, [Text(), Text(), *code, *[Text()] * len(rows)])]


def drawn(lines: List[Text], paper: str, ink: str, colors: str) -> str:
    """Return lines as SVG, in such colours."""
    width = max(line.cell_len for line in lines)
    console = Console(
        record=True, width=width, file=io.StringIO(), color_system="standard", highlight=False
    )
    for line in lines:
        console.print(line, soft_wrap=True)
    picture = FORMAT.replace("PAPER", f"#{paper}")
    picture = picture.replace("WIDTH", f"{width * 12.2 + 18:.0f}")
    picture = picture.replace("HEIGHT", f"{len(lines) * 24.4 + 18:.0f}")
    theme = TerminalTheme(_rgb(paper), _rgb(ink), [_rgb(color) for color in colors.split()])
    drawn = console.export_svg(theme=theme, code_format=picture, clear=False, unique_id="demo")
    drawn = re.sub(' clip-path="[^"]*"', "", drawn)
    return re.sub("<text[^>]*>\\s*</text>", "", drawn).replace("</text><text", "</text>\n<text")


def _rgb(color: str) -> Tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color)
    return red, green, blue


if __name__ == "__main__":
    main()
