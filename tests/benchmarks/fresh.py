"""Runs one side of one workload in a process of its own, since freed memory is used again."""

from __future__ import annotations

import json
import subprocess
import sys

from .responder import ROOT
from .workloads import SIDES, Figures

__all__ = ["run_fresh"]


def run_fresh(side: str, workload: str, port: int, count: int) -> Figures:
    """Run it and return its figures."""
    command = [sys.executable, "-m", __name__, side, workload, str(port), str(count)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=str(ROOT), timeout=600)
    found: Figures = json.loads(run.stdout)
    return found


def main(side: str, workload: str, port: str, count: str) -> None:
    print(json.dumps(SIDES[side](int(port)).run(workload, int(count))))


if __name__ == "__main__":
    main(*sys.argv[1:])
