"""Submits and reads of all callers, in shared pipelines on one connection."""

from .auto_pipeline import AutoPipeline
from .large_documents import LARGE
from .requests import NotQueued, Submit
from .transaction import Entry, Outcomes, Transaction, is_passing

__all__ = [
    "LARGE",
    "AutoPipeline",
    "Entry",
    "NotQueued",
    "Outcomes",
    "Submit",
    "Transaction",
    "is_passing",
]
