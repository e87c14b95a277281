"""What the operating calls stand on: to inspect, explain, watch and repair what is in Redis."""

from .clearing import Clearing
from .connection import HeldConnection, OperatingConnection, Runs
from .doctor import Doctor
from .listed_jobs import ListedJobs
from .operator import Operator
from .pages import PAGE_BYTES, PAGE_IDS, read_page
from .repairs import Repairs, check_on_timeout

__all__ = [
    "PAGE_BYTES",
    "PAGE_IDS",
    "Clearing",
    "Doctor",
    "HeldConnection",
    "ListedJobs",
    "OperatingConnection",
    "Operator",
    "Repairs",
    "Runs",
    "check_on_timeout",
    "read_page",
]
