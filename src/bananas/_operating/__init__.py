"""What the operating calls stand on: to inspect, explain, watch and repair what is in Redis."""

from .calls import Clearing, OperatingCalls
from .connection import OperatingConnection
from .listed_jobs import ListedJobs

__all__ = ["Clearing", "ListedJobs", "OperatingCalls", "OperatingConnection"]
