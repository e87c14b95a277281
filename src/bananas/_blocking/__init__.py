"""Blocking calls: a pool for plain submits, and a thread with an event loop for all else."""

from .loop_thread import LoopThread
from .process_connections import ProcessConnections

__all__ = ["LoopThread", "ProcessConnections"]
