"""The seed that decides where the faults of a run strike: given with --fault-seed, else random."""

from __future__ import annotations

import random
from typing import Any

import pytest

__all__ = [
    "OPTION",
    "fault_seed",
    "pytest_addoption",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_report_header",
]

OPTION = "--fault-seed"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a seed be given."""
    parser.addoption(OPTION, type=int, help="repeat the faults of a run that printed this seed")


def pytest_configure(config: pytest.Config) -> None:
    """Choose a seed where none was given; a worker of xdist has that of the whole run."""
    if config.option.fault_seed is None:
        chosen = random.SystemRandom().randrange(1 << 32)
        config.option.fault_seed = getattr(config, "workerinput", {}).get("fault_seed", chosen)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the seed on to a worker of xdist."""
    node.workerinput["fault_seed"] = fault_seed(node.config)


def pytest_report_header(config: pytest.Config) -> str:
    """Print the seed at the head of the report."""
    return f"fault seed: {fault_seed(config)}"


def fault_seed(config: pytest.Config) -> int:
    """Return the seed of this run."""
    return int(config.option.fault_seed)
