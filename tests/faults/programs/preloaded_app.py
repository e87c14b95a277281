"""A WSGI application that has used its client before the server forks."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List

from bananas import Client

client = Client(os.environ["BANANAS_REDIS_URL"])
client.submit_job("preloaded", None)


def app(environ: Dict[str, Any], start_response: Callable[..., Any]) -> List[bytes]:
    """Submit a job and wait for its result; the job says which process has submitted it."""
    result = client.submit_and_wait("work", {"pid": os.getpid()}, timeout=30)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {result.get_result()}".encode()]
