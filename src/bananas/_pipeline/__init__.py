"""Submits and reads of all callers, in shared pipelines on one connection."""

from .auto_pipeline import AutoPipeline
from .requests import NotQueued
from .transaction import Entry

__all__ = ["AutoPipeline", "Entry", "NotQueued"]
