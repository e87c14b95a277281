"""Installs each peer into an environment of its own, and runs its workloads beside the baseline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

from tests.benchmarks.responder import ROOT
from tests.benchmarks.workloads import Figures, Side

__all__ = ["FAILURES", "PEERS", "Peer"]

#: What can happen to the programs of others.
FAILURES = (OSError, subprocess.SubprocessError)

#: What is installed for each.
PEERS: Dict[str, Sequence[str]] = {
    "arq": ["arq"],
    "saq": ["saq[redis]", "typing_extensions"],  # which it imports without asking for it
    "taskiq": ["taskiq", "taskiq-redis"],
    "celery": ["celery[redis]"],
    "rq": ["rq"],
    "dramatiq": ["dramatiq[redis]"],
}

_WORKLOADS = ("E1", "E2", "E3", "S1", "S2", "RT")
_VERSIONS = (
    "import sys\nfrom importlib.metadata import version\n"
    "print(*[name + ' ' + version(name) for name in sys.argv[1:]], sep=', ')"
)


class Peer:
    """One other queue, installed.

    Args:
        name: Its name in `PEERS`, and that of its adapter.
        directory: Where its environment goes.
        port: The Redis that all sides use.
    """

    def __init__(self, name: str, directory: Path, port: int) -> None:
        self.name = name
        self.port = port
        self.python = str(install(directory / name, PEERS[name]))
        self.workloads: List[str] = self._call()
        self.rounds: Dict[str, List[Dict[str, Figures]]] = {}
        self.failed: Dict[str, str] = {}

    def run_round(self, baseline: Side, counts: Dict[str, int]) -> None:
        """Run each workload that it has once, after the baseline's."""
        for workload in _WORKLOADS:
            if workload in self.workloads and workload in counts:
                try:
                    self._run(workload, counts[workload], baseline)
                except FAILURES as failure:
                    self.failed[workload] = str(failure)

    def report(self) -> Dict[str, Any]:
        """What ran, what it has no call for, and what went wrong."""
        return {
            "versions": self._versions(),
            "rounds": self.rounds,
            "has_no": [name for name in _WORKLOADS if name not in self.workloads],
            "failed": self.failed,
        }

    def _run(self, workload: str, count: int, baseline: Side) -> None:
        found = {"baseline": baseline.run(workload, count)}
        baseline.control.flushall()
        name = "rate"
        if workload == "RT":
            name, count = "time", min(count, 10)  # one that polls takes up to a second for each
        found[self.name] = {name: self._call(workload, str(count))}
        self.rounds.setdefault(workload, []).append(found)

    def _call(self, *arguments: str) -> Any:
        adapter = f"tests.benchmarks.peers.{self.name}"
        # Its own packages alone, not those of whoever runs this.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        run = subprocess.run(
            [self.python, "-m", adapter, *arguments],
            env={**environment, "BENCHMARK_REDIS_PORT": str(self.port)},
            cwd=str(ROOT), check=True, stdout=subprocess.PIPE, timeout=300,
        )  # fmt: skip
        return json.loads(run.stdout.splitlines()[-1])

    def _versions(self) -> str:
        names = [name.partition("[")[0] for name in PEERS[self.name] if self.name in name]
        command = [self.python, "-c", _VERSIONS, *names, "redis"]
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60)
        return run.stdout.decode().strip()


def install(directory: Path, packages: Sequence[str]) -> Path:
    """Make a virtual environment with the newest of these packages; return its interpreter."""
    python = directory / "bin" / "python"
    uv = shutil.which("uv")
    if uv:
        commands = [[uv, "venv", "--quiet", "--python", sys.executable, str(directory)]]
        commands += [[uv, "pip", "install", "--quiet", "--python", str(python), *packages]]
    else:
        commands = [[sys.executable, "-m", "venv", str(directory)]]
        commands += [[str(python), "-m", "pip", "install", "--quiet", *packages]]
    for command in commands:
        subprocess.run(command, check=True, timeout=300)
    return python
