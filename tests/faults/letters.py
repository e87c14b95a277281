"""Makes dead letters."""

from __future__ import annotations

from typing import List, Sequence

from tests.support import RedisServer

__all__ = ["DEAD", "QUEUE", "bury"]

DEAD, QUEUE = "bananas:queue:dead", "bananas:queue:normal"


def bury(server: RedisServer, ids: Sequence[str], name: str = "work") -> None:
    """Make dead letters, newer than all others."""
    documents: List[str] = []
    for job_id in ids:
        documents += (
            f"bananas:job:{job_id}",
            f'{{"id":"{job_id}","name":"{name}","payload":1,"status":"failed",'
            '"priority":"normal","attempts":3,"max_retries":3,"error":"boom"}',
        )
    server.command("MSET", *documents)
    server.command("LPUSH", DEAD, *ids)
