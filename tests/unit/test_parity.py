"""The blocking client has the names and meanings of the other one."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict

import pytest

from bananas import AsyncClient, Client

#: They hand out coroutines, or mean the same as another name.
ASYNC_ONLY = {"aclose", "queue", "results"}
PLAIN_CALLS = {"as_completed", "from_sentinel", "stats"}


def public(cls: type) -> Dict[str, Any]:
    """Return what a class offers, its constructor included."""
    found = {name: value for name, value in vars(cls).items() if not name.startswith("_")}
    return {**found, "__init__": vars(cls)["__init__"]}


def function(cls: type, name: str) -> Callable[..., Any]:
    """Return the function behind a name."""
    found: Any = public(cls)[name]
    plain: Callable[..., Any] = getattr(found, "__func__", found)
    return plain


SHARED = sorted(public(Client))


def test_names() -> None:
    """Both have the same names."""
    assert set(public(AsyncClient)) - ASYNC_ONLY == set(public(Client))


@pytest.mark.parametrize("name", SHARED)
def test_signatures(name: str) -> None:
    """Names, order, kinds, defaults and annotations of the parameters are the same."""
    ours, theirs = (inspect.signature(function(cls, name)) for cls in (Client, AsyncClient))
    assert list(ours.parameters.values()) == list(theirs.parameters.values())
    returned = {"AsCompleted": "CompletedResults"}
    annotation = theirs.return_annotation
    assert ours.return_annotation == returned.get(annotation, annotation)


@pytest.mark.parametrize("name", sorted(set(SHARED) - {"__init__"}))
def test_docstrings(name: str) -> None:
    """What a method promises is said in the same words."""
    assert inspect.getdoc(function(Client, name)) == inspect.getdoc(function(AsyncClient, name))


def test_class_docstrings() -> None:
    """The arguments of the constructor are described in the same words."""
    ours, theirs = (inspect.getdoc(cls).partition("Args:")[2] for cls in (Client, AsyncClient))
    assert ours.startswith(theirs)


@pytest.mark.parametrize("name", sorted(set(SHARED) - {"__init__"} - PLAIN_CALLS))
def test_one_awaits_and_the_other_blocks(name: str) -> None:
    """A call of one is awaited, and the same call of the other is not."""
    assert inspect.iscoroutinefunction(function(AsyncClient, name))
    assert not inspect.iscoroutinefunction(function(Client, name))
