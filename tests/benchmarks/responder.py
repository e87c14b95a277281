"""A process that plays the worker's part: stores results on request, or at once for every job."""

from __future__ import annotations

import sys
import time
from typing import List

import redis


def store(client: redis.Redis, ids: List[str]) -> None:
    """Store a result for each id; its value is the time at which it was sent, in nanoseconds."""
    for start in range(0, len(ids), 100):
        pipeline = client.pipeline(transaction=False)
        for job_id in ids[start : start + 100]:
            key = f"bananas:result:{job_id}"
            fields = {
                "status": "completed",
                "completed_at": "2025-01-15T10:30:05Z",
                "duration_ms": "1",
                "result": str(time.perf_counter_ns()),
            }
            pipeline.hset(key, mapping=fields)
            pipeline.expire(key, 3600)
            pipeline.publish(f"bananas:result:notify:{job_id}", "ready")
        pipeline.execute()


def serve(port: int) -> None:
    """Store what the control list names (one message, many ids), and every job of ``high``."""
    client = redis.Redis(port=port, protocol=2, socket_timeout=None)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        taken = client.blpop(["control", "bananas:queue:high"], timeout=0)
        if taken is None:
            continue
        key, value = taken
        if key == b"control":
            if value == b"stop":
                return
            store(client, value.decode().split())
            client.lpush("stored", str(time.perf_counter_ns()))
        else:
            store(client, [value.decode()])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
