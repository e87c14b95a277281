"""Writes the tables and the plots of the documentation from the JSON of a run.

What they were written from is kept beside it, and a test compares them with it.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from . import svg
from .figures import FIGURES, Figure, ratios, spread
from .responder import ROOT

__all__ = [
    "as_text",
    "documentation",
    "draw_growth",
    "draw_ratios",
    "growth_as_text",
    "growth_markdown",
    "markdown",
]

Results = Dict[str, Any]
Curves = Dict[str, Any]

PAGE = ROOT / "docs" / "explanation" / "performance.md"
GROWTH_PAGE = ROOT / "docs" / "explanation" / "benchmarks.md"
ASSETS = ROOT / "docs" / "assets"
#: What the pages show now.
SHOWN, GROWTH_SHOWN = Path(__file__).with_name("run.json"), Path(__file__).with_name("growth.json")
HEAD = ["workload", "figure", "median", "spread", "goal", "in this run"]
GROWTH_HEAD = ["what", "at", "times as fast as the baseline", "times as fast as the first"]
WRITTEN = "<!-- Written by python -m tests.benchmarks.report; change that. -->"
END_OF_WRITTEN = "<!-- The end of what is written by it. -->"
#: What each figure is called where no letters and numbers can be looked up.
WORDS = {
    ("E1", "rate"): "asyncio: one submit at a time",
    ("E2", "rate"): "asyncio: 100 tasks that submit",
    ("E3", "rate"): "asyncio: 10,000 jobs in one call",
    ("S1", "rate"): "blocking: one submit at a time",
    ("S2", "rate"): "blocking: 8 threads that submit",
    ("SP", "rate"): "blocking: one submit at a time, client and server on one core",
    ("SR", "rate"): "blocking: one read at a time",
    ("SI", "rate"): "blocking: one submit with a `job_id` at a time",
    ("W1", "time"): "from the stored result to your code",
    ("RT", "time"): "submit and wait, answered at once",
    ("W2", "cpu"): "10,000 waits at once: CPU (times less)",
    ("W2", "lag"): "10,000 waits at once: from the last result to the last waiter",
    ("W2", "memory"): "10,000 waits at once: memory (times less)",
    ("M1", "time"): "the import, beside that of `redis.asyncio`",
}
GROWN = {
    "tasks": ("tasks that submit at once", "rate"),
    "bytes": ("bytes of payload, one submit at a time", "rate"),
    "waits": ("waits at once: CPU for each (times less)", "cpu"),
}


def as_text(results: Results) -> str:
    """The table of a run, for a terminal."""
    rows = [figure.row(results["rounds"][figure.workload]) for figure in shown(results)]
    return _aligned([HEAD, *rows])


def growth_as_text(curves: Curves) -> str:
    """The table of how cost grows, for a terminal."""
    return _aligned([GROWTH_HEAD, *_growth_rows(curves)]) + "\n" + _flat(curves)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def shown(results: Results) -> List[Figure]:
    return [figure for figure in FIGURES if results["rounds"].get(figure.workload)]


# -- the documentation: ratios only, since times are those of one machine --------------------------


def markdown(results: Results) -> str:
    """The tables of the page about performance, with the plot first."""
    parts = [WRITTEN, _picture("Times as fast as the baseline", "performance")]
    parts += [_made_with(results["environment"]), _ratio_table(results)]
    if results.get("peers"):
        parts.append(_peer_table(results))
    return "\n\n".join([*parts, END_OF_WRITTEN])


def growth_markdown(growth: Results) -> str:
    """How cost grows, with the plot first."""
    curves = growth["scaling"]
    table = _table(GROWTH_HEAD, _growth_rows(curves))
    picture = _picture("How cost grows", "performance_growth")
    return "\n\n".join([WRITTEN, picture, table, _flat(curves), END_OF_WRITTEN])


def _times(ratio: float) -> str:
    """How many times as fast, or as cheap: more is better, whatever is measured."""
    if ratio < 1:
        return f"{ratio:.2f}"
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"


def _picture(words: str, name: str) -> str:
    """Return the picture for light pages; the site adds those for dark ones and for phones."""
    return f"![{words}](../assets/{name}.svg#only-light)"


def _made_with(environment: Dict[str, Any]) -> str:
    names = ("python", "redis-py", "hiredis", "orjson", "redis-server")
    made = [
        f"{'' if name == 'python' else name} {environment[name]}".strip()
        for name in names
        if environment[name] is not None
    ]
    made.append(f"{environment['cpus']} CPU cores")
    return f"The median of the rounds, and their spread, with {', '.join(made)}:"


def _ratio_table(results: Results) -> str:
    rows = []
    for figure in shown(results):
        if figure.name == "connections":  # a number of its own, and the same in every run
            continue
        found = spread(_speeds(results["rounds"][figure.workload], figure))
        rounded = f"{_times(found.least)} – {_times(found.most)}"
        words = WORDS[figure.workload, figure.name]
        rows.append([words, f"**{_times(found.median)}**", rounded])
    return _table(["what", "times as fast as the baseline", "spread"], rows)


def _peer_table(results: Results) -> str:
    """How many times as fast this client is as each of the other queues."""
    names = ("E1", "E2", "E3", "S1", "S2", "RT")
    peers = results["peers"]
    rows = []
    for figure in shown(results):
        if figure.workload not in names:
            continue
        ours = spread(_speeds(results["rounds"][figure.workload], figure)).median
        cells = [WORDS[figure.workload, figure.name]]
        for peer, report in peers.items():
            rounds = report["rounds"].get(figure.workload)
            theirs = spread(_speeds(rounds, figure, peer)).median if rounds else None
            cells.append("–" if theirs is None else _times(ours / theirs))
        rows.append(cells)
    return "\n\n".join([
        "How many times as fast as other queues, in the same run (– where the other has no such "
        "call):",
        _table(["", *peers], rows),
        "Each has its default settings, and in the last row a worker that does nothing else: "
        + "; ".join(report["versions"] for report in peers.values()) + ".",
    ])  # fmt: skip


def _growth_rows(curves: Curves) -> List[List[str]]:
    rows = []
    for name, (words, figure) in GROWN.items():
        for point in curves[name]:
            both = ratios(point["rounds"], figure)
            found = [spread(both).median] if both else []
            itself = _ours(name, point) / _ours(name, curves[name][0])
            cells = [_times(one if figure == "rate" else 1 / one) for one in [*found, itself]]
            rows.append([words, f"{point['at']:,}", *(["–"] * (2 - len(cells))), *cells])
    return rows


def _ours(name: str, point: Dict[str, Any]) -> float:
    return spread([one["ours"][GROWN[name][1]] for one in point["rounds"]]).median


def _flat(curves: Curves) -> str:
    few, many = curves["jobs"]
    # Less than nothing is memory that was free before.
    grown = [max(0.0, point["rounds"][0]["ours"]["growth"] / 2**20) for point in (few, many)]
    return (
        f"Jobs from one generator: beside the ids that it returns, `submit_jobs` needs "
        f"{grown[0]:.1f} MiB for {few['at']:,} jobs and {grown[1]:.1f} MiB for {many['at']:,}."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


# -- plots ----------------------------------------------------------------------------------------


def draw_ratios(results: Results, *, narrow: bool = False) -> str:
    """Every workload as a point with its spread; to the right is better, for times too.

    On a narrow picture the name of a workload is above its marks.
    """
    figures = [figure for figure in shown(results) if figure.name in ("rate", "time", "cpu")]
    width, left, row, top = (390, 16, 46, 66) if narrow else (800, 330, 30, 56)
    bottom = top + row * len(figures)
    scale = svg.Scale((0.1, 30), (left, width - 30))
    title = "Times as fast as the same work on redis-py"
    marks = [svg.text(16 if narrow else 20, 28, title, size=16)]
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20):
        strong = svg.INK if tick == 1 else svg.FAINT
        marks.append(svg.line(scale(tick), top - 10, scale(tick), bottom, strong))
        marks.append(svg.text(scale(tick), bottom + 18, f"{tick:g}", "middle"))
    for at, figure in enumerate(figures):
        y = top + row * at + 8 + (18 if narrow else 0)
        found = spread(_speeds(results["rounds"][figure.workload], figure))
        if narrow:
            marks.append(svg.label(left, y - 14, _label(figure)))
        else:
            marks.append(svg.text(left - 12, y + 4, _label(figure), "end"))
        for peer, report in results.get("peers", {}).items():
            rounds = report["rounds"].get(figure.workload)
            if rounds and figure.name != "cpu":
                speed = spread(_speeds(rounds, figure, peer)).median
                marks.append(svg.circle(scale(speed), y, 4, svg.OTHERS, f"{peer} {speed:.2f}"))
        marks.append(svg.line(scale(found.least), y, scale(found.most), y, svg.OURS, 3))
        marks.append(svg.circle(scale(found.median), y, 6, svg.OURS, f"{found.median:.2f}"))
    legend = "point: median; line: spread; grey: other queues (down to 0.1)"
    marks.append(svg.text(width - 16, bottom + 42, legend, "end", 12))
    return svg.document(width, bottom + 56, "Times as fast as the baseline", marks)


def _label(figure: Figure) -> str:
    return figure.text.replace(", jobs/s", "").replace("time of ", "").replace("time from ", "")


def _speeds(rounds: Any, figure: Figure, side: str = "ours") -> List[float]:
    found = ratios(rounds, figure.name, side)
    return found if figure.more_is_better else [1 / ratio for ratio in found]


def draw_growth(curves: Curves, *, narrow: bool = False) -> str:
    """A panel for each curve: how much better than the baseline, where it was measured.

    On a narrow picture the panels are below each other.
    """
    width, height = (380, 250) if narrow else (270, 250)
    marks: List[str] = []
    for at, (name, (words, figure)) in enumerate(GROWN.items()):
        left, top = (50, 50 + at * height) if narrow else (50 + at * width, 50)
        right, bottom = left + width - 60, top + 170
        points = [point for point in curves[name] if "baseline" in point["rounds"][0]]
        y = svg.Scale((0.5, 30), (bottom, top))
        marks.append(svg.text(left, top - 24, words, size=12))
        for tick in (0.5, 1, 2, 5, 10, 20):
            marks.append(
                svg.line(left, y(tick), right, y(tick), svg.INK if tick == 1 else svg.FAINT)
            )
            marks.append(svg.text(left - 6, y(tick) + 4, f"{tick:g}", "end", 11))
        x = svg.Scale((points[0]["at"], points[-1]["at"]), (left + 8, right - 14))
        drawn = []
        for point in points:
            ratio = spread(ratios(point["rounds"], figure)).median
            drawn.append((x(point["at"]), y(ratio if figure == "rate" else 1 / ratio)))
            marks.append(svg.text(drawn[-1][0], bottom + 18, _short(point["at"]), "middle", 10))
        marks.append(svg.polyline(drawn, svg.OURS))
        marks += [svg.circle(*place, 4, svg.OURS) for place in drawn]
    across, down = (1, len(GROWN)) if narrow else (len(GROWN), 1)
    whole = down * height + 30
    words = "times as fast (for waits: as cheap) as the baseline"
    marks.append(svg.text(16 if narrow else 50, whole - 12, words))
    return svg.document(width * across, whole, "How cost grows", marks)


def _short(number: int) -> str:
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number // size}{letter}"
    return str(number)


# -- files -----------------------------------------------------------------------------------------


def documentation(results: Results, growth: Results) -> Dict[Path, str]:
    """Return the files of the documentation that show a run, with their new content."""
    written = {}
    for page, tables in ((PAGE, markdown(results)), (GROWTH_PAGE, growth_markdown(growth))):
        between = re.compile(f"{re.escape(WRITTEN)}.*?{re.escape(END_OF_WRITTEN)}", re.DOTALL)
        before, after = between.split(page.read_text(encoding="utf-8"))
        written[page] = before + tables + after
    for suffix, narrow in (("", False), ("_narrow", True)):
        drawn = {
            "performance": draw_ratios(results, narrow=narrow),
            "performance_growth": draw_growth(growth["scaling"], narrow=narrow),
        }
        for name, picture in drawn.items():
            written[ASSETS / f"{name}{suffix}.svg"] = picture
            written[ASSETS / f"{name}{suffix}_dark.svg"] = svg.dark(picture)
    return written


def _shortened(value: Any) -> Any:
    """Return JSON with numbers of six digits, which is more than a clock tells."""
    if isinstance(value, dict):
        return {name: _shortened(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.report", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=SHOWN, help="what --json wrote")
    parser.add_argument(
        "growth", type=Path, nargs="?", default=GROWTH_SHOWN, help="what --scaling --json wrote"
    )
    options = parser.parse_args()
    read: Tuple[Path, Path] = (options.results, options.growth)
    results, growth = (_shortened(json.loads(path.read_text(encoding="utf-8"))) for path in read)
    written = documentation(results, growth)
    for path, run in ((SHOWN, results), (GROWTH_SHOWN, growth)):
        written[path] = json.dumps(run, separators=(",", ":")) + "\n"
    for path, content in written.items():
        path.write_text(content, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
