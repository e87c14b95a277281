"""Imports point down, and each outside thing has one door."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Dict, Set

import pytest

from tests.unit.source_tree import docstrings, imports, modules

pytestmark = pytest.mark.one_python

#: From the bottom up; inside a row, from left to right. A module imports only what stands before
#: it. A package stands for all of its modules.
LAYERS = [
    ["location", "exceptions", "_types", "_version", "_missing_extras"],
    ["_argument_checks", "enums", "_daemon_thread", "_event_loops", "_fork_safety", "_in_process"],
    ["_wire", "_redis", "_background_tasks", "_timer", "_backoff"],
    [
        "_pydantic_errors",
        "_typed_results",
        "_typed_payloads",
        "_job",
        "_job_result",
        "models",
        "job_type",
        "_stored_jobs",
        "operating",
        "repairs",
    ],
    ["_pipeline", "_submit_chunks", "_submission"],
    ["_waits", "_operating", "_client_life", "queue", "dead_letters", "result_backend"],
    ["client", "_blocking"],
    ["_blocking_calls", "_sync_parts", "sync", "_awaited_calls"],
    ["_framework_settings", "_framework_client"],
    ["health", "prometheus", "_telemetry", "opentelemetry"],
    [""],
    ["testing", "cli", "__main__"],
    ["_http", "_starlette", "fastapi", "aiohttp"],
    ["django", "flask"],
]
PLACES = {
    name: (layer, place) for layer, row in enumerate(LAYERS) for place, name in enumerate(row)
}
SOURCES = modules()
ROOT = Path(__file__).resolve().parents[2]


def unit(name: str) -> str:
    """Return the entry of the table that a module belongs to."""
    return name if name in PLACES else name.split(".")[0]


def test_every_module_has_a_place() -> None:
    """A new module is given its place in the table above."""
    assert {name for name in SOURCES if unit(name) not in PLACES} == set()


@pytest.mark.parametrize("name", SOURCES, ids=lambda name: name or "bananas")
def test_imports_point_down(name: str) -> None:
    """A module imports only modules of ours that stand before it, wherever the import stands."""
    ours = {found[1:] for found in imports(name, SOURCES[name], set(SOURCES)) if found[0] == "."}
    others = {unit(found) for found in ours} - {unit(name)}
    assert {other for other in others if PLACES[other] >= PLACES[unit(name)]} == set()


def test_no_cycle_inside_a_package() -> None:
    """The modules of one package of ours don't import each other in a circle either."""
    left: Dict[str, Set[str]] = {
        name: {found[1:] for found in imports(name, tree, set(SOURCES)) if found[0] == "."}
        for name, tree in SOURCES.items()
    }
    while True:
        free = {name for name, needs in left.items() if not needs & (left.keys() - {name})}
        if not free:
            break
        left = {name: needs for name, needs in left.items() if name not in free}
    assert left == {}


@pytest.mark.parametrize("name", SOURCES, ids=lambda name: name or "bananas")
def test_nobody_reaches_into_a_folder(name: str) -> None:
    """A folder of ours is used through the names of its ``__init__`` alone."""
    ours = {found[1:] for found in imports(name, SOURCES[name], set(SOURCES)) if found[0] == "."}
    inside = {found for found in ours if "." in found and found.split(".")[0].startswith("_")}
    assert {found for found in inside if found.split(".")[0] != unit(name)} == set()


#: What decides, and leaves it to others to do anything.
PURE = [
    *(name for name in SOURCES if name.startswith("_wire") and name != "_wire.timestamps"),
    *(f"_pipeline.{part}" for part in ("batch", "deadline_heap", "effects", "idempotent",
                                       "pending_requests", "recovery", "round_trip", "silence",
                                       "state_machine", "states", "timeouts", "transaction")),
    *(f"_waits.{part}" for part in ("channels", "dead_letters", "effects", "job_finality",
                                    "job_location", "pacing", "registry", "state_machine",
                                    "wait_endings", "wait_errors")),
]  # fmt: skip


@pytest.mark.parametrize("name", PURE)
def test_what_decides_has_no_io(name: str) -> None:
    """A state machine and its parts import nothing that waits, tells the time, or is random."""
    found = {found.split(".")[0] for found in imports(name, SOURCES[name], set(SOURCES))}
    assert found & {"anyio", "asyncio", "random", "socket", "threading", "time"} == set()


@pytest.mark.parametrize(
    ("outside", "doors"),
    [
        ("redis", {"_redis"}),
        ("hiredis", {"_redis"}),
        ("fakeredis", {"testing"}),
        ("pytest", {"testing"}),
        ("typer", {"cli"}),
        ("rich", {"cli"}),
        ("prometheus_client", {"prometheus"}),
        ("opentelemetry", {"_telemetry"}),
        ("fastapi", {"fastapi"}),
        ("starlette", {"_starlette", "fastapi"}),
        ("aiohttp", {"aiohttp"}),
        ("django", {"django"}),
        ("flask", {"flask"}),
    ],
)
def test_each_outside_thing_has_one_door(outside: str, doors: Set[str]) -> None:
    """Only one place knows redis-py, only the test helpers know fakeredis, and so on."""
    found = {
        unit(name)
        for name, tree in SOURCES.items()
        if outside in {found.split(".")[0] for found in imports(name, tree, set(SOURCES))}
    }
    assert found <= doors


@pytest.mark.parametrize("name", [name for name in SOURCES if name.split(".")[0] == "cli"])
def test_the_command_line_stands_on_public_names(name: str) -> None:
    """Of the private modules it has what names an extra; the demo, what deletes its keys."""
    ours = {found[1:] for found in imports(name, SOURCES[name], set(SOURCES)) if found[0] == "."}
    private = {found for found in ours if found.startswith("_") or "._" in found}
    allowed = {"_wire", "testing._wire"} if name == "cli.demo" else set()
    assert private <= {"_missing_extras", *allowed}


@pytest.mark.parametrize("name", SOURCES, ids=lambda name: name or "bananas")
def test_no_import_for_the_type_checker_alone(name: str) -> None:
    """No module hides an import from the interpreter; one has it do those of what it makes late."""
    names = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(SOURCES[name])}
    assert ("TYPE_CHECKING" in names) is (name == "_operating.calls")


@pytest.mark.parametrize("name", SOURCES, ids=lambda name: name or "bananas")
def test_only_keys_spells_a_key(name: str) -> None:
    """No other module spells a piece of a key; prose has a space after its colon."""
    tree = SOURCES[name]
    prose = docstrings(tree)
    spelt = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, (str, bytes))
        and node not in prose
        and re.search(
            r"\b(job|queue|result|notify|route|processing|scheduled|dead):(?! )",
            node.value if isinstance(node.value, str) else node.value.decode("latin-1"),
        )
    ]
    assert (name == "_wire.keys") is bool(spelt), spelt


def test_the_package_has_no_logic() -> None:
    """``__init__`` imports names, lists them, and does nothing else."""
    kinds = (ast.Expr, ast.ImportFrom, ast.Assign)
    assert [node for node in SOURCES[""].body if not isinstance(node, kinds)] == []


@pytest.mark.parametrize("name", SOURCES, ids=lambda name: name or "bananas")
def test_no_module_makes_up_its_names(name: str) -> None:
    """No module has a ``__getattr__``."""
    functions = [node.name for node in SOURCES[name].body if isinstance(node, ast.FunctionDef)]
    assert "__getattr__" not in functions


@pytest.mark.parametrize("name", SOURCES, ids=lambda name: name or "bananas")
def test_every_module_says_what_it_is(name: str) -> None:
    """A module's docstring begins with one sentence on one line."""
    first = (ast.get_docstring(SOURCES[name]) or "").split("\n")[0]
    assert first.endswith(".")


def test_the_map_names_what_is_there() -> None:
    """Each file that docs/contributing sends its reader to exists; update its row with a move."""
    text = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    rows = text.partition("## I want to change")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w/*.]+\.py)`", rows)
    places = [ROOT / "src" / "bananas", ROOT / "tests", ROOT]
    assert named
    assert [name for name in named if not any(list(place.glob(name)) for place in places)] == []
