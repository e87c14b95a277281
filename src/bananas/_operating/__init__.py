"""What the operating calls stand on: to inspect, explain, watch and repair what is in Redis."""

from .calls import OperatingCalls
from .clearing import Clearing
from .connection import HeldConnection, OperatingConnection, Runs
from .listed_jobs import ListedJobs
from .pages import PAGE_BYTES, PAGE_IDS, read_page

__all__ = [
    "PAGE_BYTES",
    "PAGE_IDS",
    "Clearing",
    "HeldConnection",
    "ListedJobs",
    "OperatingCalls",
    "OperatingConnection",
    "Runs",
    "read_page",
]
