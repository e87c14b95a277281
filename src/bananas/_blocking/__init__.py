"""Blocking calls: lines for plain submits, and a thread with an event loop for all else."""

from .connections import Connections
from .loop_thread import LoopThread

__all__ = ["Connections", "LoopThread"]
