"""One seed for a whole run, however many processes it is divided among."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

CONFTEST = "from tests.faults.seed import *"
TESTS = """
import pytest
from tests.faults.seed import fault_seed

@pytest.mark.parametrize("number", range(8))
def test_seed(request, worker_id, tmp_path_factory, number):
    found = tmp_path_factory.getbasetemp().parent / f"{worker_id}-{number}"
    found.write_text(str(fault_seed(request.config)))
"""


def test_each_worker_has_the_seed_that_is_printed(tmp_path: Path) -> None:
    """A seed that nobody gave is chosen once."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_seed.py").write_text(TESTS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-n", "2", "--basetemp=run"],
        cwd=str(tmp_path),
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    output = run.stdout.decode()
    assert run.returncode == 0, output
    (printed,) = re.findall(r"^fault seed: ([0-9]+)", output, re.MULTILINE)
    found = [path.read_text() for path in (tmp_path / "run").glob("gw*-*")]
    assert found == [printed] * 8
