"""What the operating calls stand on: to inspect, explain, watch and repair what is in Redis."""

from .calls import OperatingCalls
from .connection import HeldConnection, OperatingConnection, Runs
from .dead_letter_clearing import Clearing
from .document_pages import PAGE_BYTES, PAGE_IDS, read_page
from .listed_jobs import ListedJobs

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
