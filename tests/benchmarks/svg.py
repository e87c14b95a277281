"""A chart on logarithmic scales, as SVG text."""

from __future__ import annotations

import math
from html import escape
from typing import List, Sequence, Tuple

__all__ = ["Scale", "circle", "dark", "document", "label", "line", "polyline", "text"]

SHEET, INK, FAINT, OURS, OTHERS = "#ffffff", "#333333", "#cccccc", "#b8860b", "#7a7a7a"
#: What stands for each colour on a dark page.
DARK = {SHEET: "#26241f", INK: "#e6e1d5", FAINT: "#4c483f", OURS: "#ffd23f", OTHERS: "#a8a396"}


class Scale:
    """Maps a range of values to a range of pixels, in equal steps for equal ratios."""

    def __init__(self, values: Tuple[float, float], pixels: Tuple[float, float]) -> None:
        self._low, self._high = map(math.log, values)
        self._start, self._end = pixels

    def __call__(self, value: float) -> float:
        part = (math.log(value) - self._low) / (self._high - self._low)
        return self._start + (self._end - self._start) * min(max(part, 0), 1)


def document(width: int, height: int, title: str, marks: Sequence[str]) -> str:
    """Put marks onto a white sheet."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="13" role="img">'
    )
    sheet = f'<rect width="{width}" height="{height}" rx="6" fill="{SHEET}"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", sheet, *marks, "</svg>", ""])


def dark(drawn: str) -> str:
    """Return a document in the colours of a dark page."""
    for color, instead in DARK.items():
        drawn = drawn.replace(f'"{color}"', f'"{instead}"')
    return drawn


def line(x1: float, y1: float, x2: float, y2: float, color: str = FAINT, width: float = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{color}" stroke-width="{width:g}"/>'
    )


def circle(x: float, y: float, radius: float, color: str, title: str = "") -> str:
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{color}">{inside}</circle>'


def polyline(points: List[Tuple[float, float]], color: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>'


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{INK}">{escape(words)}</text>'
    )


def label(x: float, y: float, words: str) -> str:
    """A text that lines behind it do not cross."""
    outlined = f'stroke="{SHEET}" stroke-width="5" paint-order="stroke"'
    return text(x, y, words).replace("<text ", f"<text {outlined} ", 1)
