"""Every public name stands on a page of the API."""

from __future__ import annotations

import re
from typing import Set

from tests.unit.source_tree import ROOT, listed_names

_DOCS = ROOT.parent.parent / "docs"
_PAGES = [_DOCS / "reference" / "api.md", *(_DOCS / "reference" / "api").glob("*.md")]
_SHOWN = re.compile(r"^::: ([\w.]+)", re.MULTILINE)
_TABLES = re.compile(r"^<!-- (?:names|members): ([\w.]+) -->$", re.MULTILINE)
# A page shows these as a whole, and what else there is stands on the page of integrations.
_WHOLE = {"exceptions", "operating", "repairs", "testing"}
_CORE = {"client", "dead_letters", "enums", "job_type", "location", "models", "queue"}
_CORE |= {"result_backend", "sync"}


def _shown() -> Set[str]:
    """Return what the pages show: names, and modules with all that they have."""
    return {name for page in _PAGES for name in _SHOWN.findall(page.read_text(encoding="utf-8"))}


def test_every_public_name_is_on_a_page() -> None:
    """A reader finds each name of the core; a module that is shown shows all of its own."""
    shown = _shown()
    assert {f"bananas.{module}" for module in _WHOLE} <= shown
    last_words = {name.rpartition(".")[2] for name in shown} | {"__version__"}
    for module in ("exceptions", "operating"):
        last_words.update(listed_names(ROOT / f"{module}.py"))
    public = {name for module in _CORE for name in listed_names(ROOT / f"{module}.py")}
    assert public | set(listed_names(ROOT / "__init__.py")) <= last_words


def test_what_is_integrated_is_on_a_page() -> None:
    """The page of integrations lists every other public module by itself."""
    text = (_DOCS / "reference" / "api" / "integrations.md").read_text(encoding="utf-8")
    assert "\n<!-- integrations -->\n" in text


def test_every_page_begins_with_a_table() -> None:
    """A reader sees what is there before the first text of a name."""
    for page in _PAGES:
        text = page.read_text(encoding="utf-8")
        first = _SHOWN.search(text)
        if first is not None and page.name != "types.md":
            head = text[: first.start()]
            assert _TABLES.search(head) or "\n|---|" in head, page.name
