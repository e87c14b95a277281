"""The parts of ``bananas.fastapi`` that need Starlette alone."""

from .client import bananas_lifespan, client_of, open_client
from .events import job_events
from .responses import accepted, install_error_handlers
from .waiting import wait_for_job, while_connected

__all__ = [
    "accepted",
    "bananas_lifespan",
    "client_of",
    "install_error_handlers",
    "job_events",
    "open_client",
    "wait_for_job",
    "while_connected",
]
