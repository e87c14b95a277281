"""The notebook of the examples: its cells run one after another in the loop of a kernel."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from types import FunctionType, SimpleNamespace
from typing import Any, Dict, List

import pytest

from bananas.testing import LocalQueue
from tests.behaviour.broker import Broker
from tests.behaviour.programs import ROOT


def cells() -> List[str]:
    """Return the code of the cells."""
    path = ROOT / "examples" / "notebook.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    found = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] for cell in found), "the notebook is kept without outputs"
    return ["".join(cell["source"]) for cell in found]


async def run_cell(code: str, names: Dict[str, Any]) -> None:
    """Run a cell as a kernel does: in its loop, where a cell may await."""
    compiled = compile(code, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if compiled.co_flags & inspect.CO_COROUTINE:
        await FunctionType(compiled, names)()
    else:
        exec(compiled, names)


@pytest.mark.parametrize("has_redis", [False, True])
async def test_the_notebook(
    has_redis: bool,
    embedded_session: Broker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both ways work in one notebook, without Redis, and on one that has workers."""
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.delenv("BANANAS_REDIS_URL", raising=False)
    names: Dict[str, Any] = {}
    with LocalQueue(embedded_session.url) as worker:
        worker.handle("square", lambda job: job.payload["n"] ** 2)
        if has_redis:
            monkeypatch.setenv("BANANAS_REDIS_URL", embedded_session.url)
        for code in cells():
            await run_cell(code, names)
    if not has_redis:
        names["queue"].stop()
    assert capsys.readouterr().out.split() == ["144", "285", "169", "196"]
