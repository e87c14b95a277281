"""What the operating calls stand on: to inspect, explain, watch and repair what is in Redis."""

from .connection import HeldConnection, OperatingConnection, Runs
from .operator import Operator

__all__ = ["HeldConnection", "OperatingConnection", "Operator", "Runs"]
