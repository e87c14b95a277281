"""Waits for results, any number of them on one subscription."""

from .as_completed import AsCompleted
from .job_changes import JobChanges
from .listener import Listener
from .waits import Waits

__all__ = ["AsCompleted", "JobChanges", "Listener", "Waits"]
