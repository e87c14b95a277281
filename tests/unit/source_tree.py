"""The modules of the package as parsed source."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import Dict, Iterator, List, Set

import bananas

__all__ = ["ROOT", "docstrings", "imports", "listed_names", "modules"]

ROOT = Path(bananas.__file__).parent


@functools.lru_cache(maxsize=None)  # some tests are made from it, for each module one
def modules() -> Dict[str, ast.Module]:
    """Return every module by its dotted name below the package; '' is the package itself."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(name: str, tree: ast.Module, known: Set[str]) -> Iterator[str]:
    """Return what a module imports, at its top or inside a function.

    Ours are given as they are in ``known``, with a dot before; all others by their full name.
    """
    package = name.split(".")
    if not (ROOT.joinpath(*package) / "__init__.py").exists():
        package.pop()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _named(alias.name.split("."), [], known)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ["bananas", *filter(None, base)] if node.level else []
            module = start + (node.module.split(".") if node.module else [])
            yield from _named(module, [alias.name for alias in node.names], known)


def _named(module: list[str], names: list[str], known: Set[str]) -> Iterator[str]:
    if module[0] != "bananas":
        yield ".".join(module)
        return
    inside = ".".join(module[1:])
    submodules = {name for name in names if f"{inside}.{name}".strip(".") in known}
    for name in submodules:
        yield "." + f"{inside}.{name}".strip(".")
    if set(names) - submodules or not names:
        yield "." + inside


def docstrings(tree: ast.Module) -> Set[ast.AST]:
    """Return the nodes of a module that are docstrings."""
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def listed_names(source: Path) -> List[str]:
    """Return what a module has in ``__all__``, without importing it."""
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return []
