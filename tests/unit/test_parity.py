"""The blocking client, and all that it hands out, has the names and meanings of the other one."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any, Callable, Dict, List, Tuple

import pytest

from bananas import AsyncClient, Client
from bananas.client import AsCompleted, JobChanges
from bananas.dead_letters import DeadLetters
from bananas.queue import ListedJobs, RedisQueue
from bananas.result_backend import RedisResultBackend
from bananas.sync import (
    BlockingDeadLetters,
    BlockingJobChanges,
    BlockingListedJobs,
    BlockingQueue,
    BlockingResultBackend,
    CompletedResults,
)
from tests.twin import ASYNC_ARGUMENTS, GENERATED, PACKAGE, WORDS, generate

#: Each class with its blocking twin; what a client hands out is here too.
TWINS = {
    AsyncClient: Client,
    RedisQueue: BlockingQueue,
    DeadLetters: BlockingDeadLetters,
    RedisResultBackend: BlockingResultBackend,
    AsCompleted: CompletedResults,
    ListedJobs: BlockingListedJobs,
    JobChanges: BlockingJobChanges,
}
#: How asyncio spells what a blocking class has under another name, or can't have.
RENAMED = {
    (AsyncClient, "aclose"): "close",
    (AsCompleted, "aclose"): "close",
    (AsCompleted, "__aenter__"): "__enter__",
    (AsCompleted, "__aiter__"): "__iter__",
    (JobChanges, "aclose"): "close",
    (JobChanges, "__aenter__"): "__enter__",
    (JobChanges, "__aexit__"): "__exit__",
    (JobChanges, "__aiter__"): "__iter__",
    (JobChanges, "__anext__"): "__next__",
    (ListedJobs, "__aiter__"): "__iter__",
    (ListedJobs, "__anext__"): "__next__",
    (AsCompleted, "__anext__"): "__next__",
    (AsyncClient, "__aenter__"): "__enter__",
    (AsyncClient, "__aexit__"): "__exit__",
    (AsCompleted, "__aexit__"): "__exit__",
}
#: They return at once in both.
PLAIN_CALLS = {
    "as_completed",
    "watch",
    "jobs",
    "from_sentinel",
    "stats",
    "queue",
    "results",
    "dead_letters",
}


def public(cls: type) -> Dict[str, Any]:
    """Return what a class offers, its constructor included if it is for users."""
    found = {name: value for name, value in vars(cls).items() if not name.startswith("_")}
    if cls in (AsyncClient, Client):
        found["__init__"] = vars(cls)["__init__"]
    return found


def function(cls: type, name: str) -> Callable[..., Any]:
    """Return the function behind a name."""
    found: Any = public(cls)[name]
    found = getattr(found, "fget", found)
    plain: Callable[..., Any] = getattr(found, "__func__", found)
    return plain


SHARED: List[Tuple[type, str]] = [
    (cls, name) for cls in TWINS for name in sorted(public(cls)) if (cls, name) not in RENAMED
]
each_shared = pytest.mark.parametrize(
    ("cls", "name"), SHARED, ids=lambda value: value if isinstance(value, str) else value.__name__
)


@pytest.mark.parametrize("module", GENERATED)
def test_no_twin_is_stale(module: str) -> None:
    """Each generated module is what ``nox -s twin`` would write, whatever its layout."""
    written = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    assert ast.dump(ast.parse(written)) == ast.dump(ast.parse(generate(module))), "run nox -s twin"


@pytest.mark.parametrize("cls", TWINS, ids=lambda cls: cls.__name__)
def test_names(cls: type) -> None:
    """Both have the same names, but for those that asyncio spells in its own way."""
    expected = {RENAMED.get((cls, name), name) for name in public(cls)}
    assert expected == set(public(TWINS[cls]))
    for (owner, name), twin in RENAMED.items():
        assert hasattr(owner, name)
        assert hasattr(TWINS[owner], twin)


def test_all_that_is_handed_out_has_a_twin() -> None:
    """Whatever class of ours a client, or a part of it, returns, is compared here."""
    frozen = (
        "CancelOutcome",
        "DeadLetterCounts",
        "DeleteOutcome",
        "AuditReport",
        "RecoveryCounts",
        "RepairCounts",
        "RescheduleOutcome",
        "Job",
        "JobResult",
        "ClientStats",
        "Explanation",
        "QueueDepths",
        "Location",
    )
    for cls in TWINS:
        for name in public(cls):
            returned = str(function(cls, name).__annotations__["return"])
            for word in re.findall(r"\b[A-Z]\w+", returned):
                ours = {twin.__name__ for twin in TWINS} | {"Self", *frozen}
                typing = ("List", "Optional", "Union", "Any", "None", "Dict", "Tuple")
                assert word in ours or word in typing or word.endswith("Error"), (cls, name, word)


@each_shared
def test_signatures(cls: type, name: str) -> None:
    """Names, order, kinds, defaults and annotations of the parameters are the same."""
    ours, theirs = (inspect.signature(function(owner, name)) for owner in (TWINS[cls], cls))
    assert list(ours.parameters.values()) == [
        parameter.replace(
            annotation=ASYNC_ARGUMENTS.get(parameter.annotation, parameter.annotation)
        )
        for parameter in theirs.parameters.values()
    ]
    twins = {one.__name__: other.__name__ for one, other in TWINS.items()}
    annotation = theirs.return_annotation
    assert ours.return_annotation == twins.get(annotation, annotation)


@each_shared
def test_docstrings(cls: type, name: str) -> None:
    """What a method promises is said in the same words, but for those of asyncio."""
    if name == "__init__":
        return
    expected = inspect.getdoc(function(cls, name))
    assert expected
    for theirs, ours in WORDS:
        expected = expected.replace(theirs, ours)
    assert inspect.getdoc(function(TWINS[cls], name)) == expected


def test_all_words_are_needed() -> None:
    """No pair of words is left over."""
    texts = "\n".join(inspect.getdoc(function(cls, name)) or "" for cls, name in SHARED)
    assert [theirs for theirs, _ in WORDS if theirs not in texts] == []


@pytest.mark.parametrize("cls", [*TWINS, *TWINS.values()], ids=lambda cls: cls.__name__)
def test_texts_stand_alone(cls: type) -> None:
    """No text sends its reader to another one: an editor shows one at a time."""
    texts = {name: inspect.getdoc(function(cls, name)) or "" for name in public(cls)}
    texts["the class"] = inspect.getdoc(cls) or ""
    elsewhere = re.compile(r"\b[Ss]ee (?:there|``)|\b[Aa]s for (?:the|``)|\bthe same as in\b")
    assert {name: text for name, text in texts.items() if elsewhere.search(text)} == {}


@pytest.mark.parametrize("cls", TWINS.values(), ids=lambda cls: cls.__name__)
def test_words_for_blocking_callers(cls: type) -> None:
    """No text sends the reader of the blocking client elsewhere, or speaks of tasks."""
    texts = {name: inspect.getdoc(function(cls, name)) or "" for name in public(cls)}
    texts["the class"] = inspect.getdoc(cls) or ""
    wrong = re.compile(r"\btasks?\b|``async with|[Cc]ancelling|[Cc]ancellation")
    assert {name: found for name, text in texts.items() if (found := wrong.findall(text))} == {}


def test_class_docstrings() -> None:
    """The arguments of the constructor are described in the same words."""
    ours, theirs = (inspect.getdoc(cls).partition("Args:")[2] for cls in (Client, AsyncClient))
    assert ours.startswith(theirs)


@each_shared
def test_one_awaits_and_the_other_blocks(cls: type, name: str) -> None:
    """A call of one is awaited, and the same call of the other is not."""
    awaited = name != "__init__" and name not in PLAIN_CALLS
    assert inspect.iscoroutinefunction(function(cls, name)) is awaited
    assert not inspect.iscoroutinefunction(function(TWINS[cls], name))
