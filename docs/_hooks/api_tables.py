"""Puts a table of names where a page of the API says ``<!-- members: bananas.AsyncClient -->``.

``names`` in place of ``members`` lists what a module has in ``__all__``. Each name links to its
text on the pages, and has the first sentence of it beside it. ``<!-- integrations -->`` is replaced
by a section for each public module that has no page of its own.
"""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path
from typing import Any, Iterator, List, Tuple, cast

import griffe

sys.path.insert(0, str(Path(__file__).parent))
from comment_docs import CommentDocs

SOURCES = Path(__file__).resolve().parent.parent.parent / "src"
_DIRECTIVE = re.compile(r"^<!-- (members|names): ([\w.]+) -->$", re.MULTILINE)
_INTEGRATIONS = "<!-- integrations -->"
#: Modules whose names have pages, or that are commands.
_WITH_PAGES = {
    "__main__",
    "cli",
    "client",
    "dead_letters",
    "enums",
    "exceptions",
    "job_type",
    "location",
    "models",
    "operating",
    "queue",
    "repairs",
    "result_backend",
    "sync",
    "testing",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each directive of a page by its table."""
    if _INTEGRATIONS in markdown:
        markdown = markdown.replace(_INTEGRATIONS, "\n".join(map(section, integrations())))
    return _DIRECTIVE.sub(lambda found: table(found[1], found[2]), markdown)


def integrations() -> List[str]:
    """Return the names of the public modules that have no page of their own."""
    return sorted(
        name
        for name, module in package().modules.items()
        if not name.startswith("_") and name not in _WITH_PAGES and module.exports
    )


def section(name: str) -> str:
    """Return what the page of integrations says of a module."""
    docstring = package()[name].docstring
    about = first_sentence(docstring.value if docstring else "")
    return f"""## bananas.{name}

{about.partition(": ")[2].capitalize() or about}.

<!-- names: bananas.{name} -->

::: bananas.{name}
    options:
      show_root_heading: false
      show_root_toc_entry: false
      show_docstring_description: false
      merge_init_into_class: false
"""


@functools.lru_cache(maxsize=None)
def package() -> griffe.Module:
    """The package, read and not imported: what it integrates need not be installed."""
    extensions = griffe.load_extensions(CommentDocs())
    loaded = griffe.load("bananas", search_paths=[str(SOURCES)], extensions=extensions)
    return cast(griffe.Module, loaded)


def table(kind: str, path: str) -> str:
    """Return a table of Markdown."""
    rows = [f"| [`{name}`][{path}.{name}] | {summary} |" for name, summary in listed(kind, path)]
    return "\n".join(["| name | in a sentence |", "|---|---|", *rows])


def listed(kind: str, path: str) -> Iterator[Tuple[str, str]]:
    """Give the names of a module or class, each with its first sentence."""
    owner: Any = package() if path == "bananas" else package()[path[len("bananas.") :]]
    owner = owner.final_target if owner.is_alias else owner
    names = public_members(owner) if kind == "members" else [str(one) for one in owner.exports]
    for name in names:
        if name.startswith("__"):  # __version__ has no text of its own to link to
            continue
        text = owner.members[name].docstring
        yield name, first_sentence(text.value if text else "")


def public_members(owner: Any) -> List[str]:
    """Return the methods, properties and constants of a class, in the order of the source."""
    return [
        name
        for name, member in owner.members.items()
        if not (name.startswith(("_", "pytest_")) or member.is_alias) and member.docstring
    ]


def first_sentence(text: str) -> str:
    """Return the first sentence of a text, fit for a cell of a table."""
    paragraph = " ".join(text.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.:])\s", paragraph, maxsplit=1)[0].rstrip(":.")
    return re.sub(r"``(.+?)``", r"`\1`", sentence).replace("|", "\\|")
