"""Opens pages in a browser, and says what is wrong with how they look."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page

__all__ = ["SCHEMES", "WIDTHS", "look_at"]

WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
_PATIENCE_MS = 20_000
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
_DRAWN = "() => !document.querySelector('pre.mermaid')"
_IS_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
# A name that stands on two lines was cut, unless it has a space.
_CUT = """() => [...document.querySelectorAll('td code, th code')]
    .filter(code => code.offsetParent && code.className !== 'words'
        && !/\\s/.test(code.textContent.trim()) && code.getClientRects().length > 1)
    .map(code => code.textContent)"""
_TOO_LONG = """() => [...document.querySelectorAll('pre > code')]
    .filter(code => code.offsetParent && code.scrollWidth > code.clientWidth + 1)
    .map(code => code.textContent.split('\\n').reduce((a, b) => a.length > b.length ? a : b))"""
_SCROLLS = """() => [...document.querySelectorAll('.md-typeset__scrollwrap')]
    .filter(box => box.scrollWidth > box.clientWidth + 1)
    .map(box => box.textContent.trim().split('\\n')[0])"""
_EMPTY = """() => [...document.querySelectorAll('div.mermaid, img')]
    .filter(shown => shown.checkVisibility()
        && (shown.offsetHeight === 0 || shown.naturalWidth === 0))
    .map(shown => shown.currentSrc || shown.className)"""


def look_at(browser: Browser, base: str, paths: List[str]) -> Iterator[str]:
    """Give what is wrong with each page, at each width and in each scheme."""
    for width in WIDTHS:
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": 800}, color_scheme=scheme
            )
            context.set_default_timeout(_PATIENCE_MS)
            for path in paths:
                # A page of its own: what one has logged is not taken for another's.
                page = context.new_page()
                for fault in _faults(page, base, path, width, scheme):
                    yield f"{path or 'index'} ({width} px, {scheme}): {fault}"
                page.close()
            context.close()


def _faults(page: Page, base: str, path: str, width: int, scheme: str) -> List[str]:
    """Return what is wrong with one page."""
    found: List[str] = []
    page.on("console", lambda said: found.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("request", lambda asked: _judge_request(found, asked.url, base))
    try:
        page.goto(base + path, wait_until="load")
        page.wait_for_function(_DRAWN)
        found += [f"the page is {wide} px too wide" for wide in [page.evaluate(_IS_WIDE)] if wide]
        found += [f"{name!r} is cut in a table" for name in page.evaluate(_CUT)]
        found += [f"{shown!r} shows nothing" for shown in page.evaluate(_EMPTY)]
        found += [f"a table does not fit: {first}" for first in page.evaluate(_SCROLLS)]
        if width == WIDTHS[0]:
            found += [f"code does not fit: {line}" for line in page.evaluate(_TOO_LONG)]
        found += _barriers(page, width, scheme)
    except Error as error:
        found.append(str(error))
    return found


def _judge_request(found: List[str], url: str, base: str) -> None:
    if not url.startswith((base, "data:", "blob:")):
        found.append(f"it asks another site: {url}")


def _barriers(page: Page, width: int, scheme: str) -> Iterator[str]:
    """Give what axe-core finds; only contrasts depend on the scheme, and not on the width."""
    only: Any = {"type": "tag", "values": _RULES}
    if scheme != SCHEMES[0]:
        if width != WIDTHS[0]:
            return
        only = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
    results = Axe().run(page, options={"runOnly": only, "resultTypes": ["violations"]})
    for violation in results.response["violations"]:
        for node in violation["nodes"]:
            why = " ".join(node["failureSummary"].split())
            yield f"{violation['id']}: {node['html'][:150]} ({why[:200]})"


def page_address(site: Path, path: Path) -> str:
    """Return the address of a page below the site's."""
    name = path.relative_to(site).as_posix()
    return name[: -len("index.html")] if name.endswith("index.html") else name
