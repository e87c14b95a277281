"""What the operating calls stand on: to inspect, explain, watch and repair what is in Redis."""

from .calls import Clearing, OperatingCalls
from .connection import OperatingConnection
from .dead_letters import LetterFilter
from .deployment import Deployment
from .listed_jobs import ListedJobs

__all__ = [
    "Clearing",
    "Deployment",
    "LetterFilter",
    "ListedJobs",
    "OperatingCalls",
    "OperatingConnection",
]
