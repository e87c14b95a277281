"""The work of each workload written directly on redis-py, as a careful user would write it."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Tuple

import redis
import redis.asyncio

__all__ = [
    "Waits",
    "connect",
    "read_blocking",
    "submit",
    "submit_blocking",
    "submit_many",
    "submit_once_blocking",
]

NORMAL, HIGH = "bananas:queue:normal", "bananas:queue:high"


def connect(port: int) -> redis.asyncio.Redis:
    """Make a client; its pool is bounded, since Redis and the process have their limits."""
    pool = redis.asyncio.BlockingConnectionPool(port=port, max_connections=100, timeout=None)
    return redis.asyncio.Redis.from_pool(pool)


def document(name: str, payload: Any) -> Tuple[str, str]:
    """Make an id and a job document."""
    job_id = str(uuid.uuid4())
    now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
    text = json.dumps(
        {
            "id": job_id,
            "name": name,
            "payload": payload,
            "status": "pending",
            "priority": "normal",
            "created_at": now,
            "updated_at": now,
            "attempts": 0,
            "max_retries": 3,
        }
    )
    return job_id, text


async def submit(client: redis.asyncio.Redis, name: str, payload: Any) -> str:
    """Submit one job: MULTI, SET, LPUSH, EXEC."""
    job_id, text = document(name, payload)
    await _push(client, job_id, text, NORMAL)
    return job_id


async def _push(client: redis.asyncio.Redis, job_id: str, text: str, queue: str) -> None:
    async with client.pipeline(transaction=True) as pipeline:
        pipeline.set(f"bananas:job:{job_id}", text)
        pipeline.lpush(queue, job_id)
        await pipeline.execute()


def submit_blocking(client: redis.Redis, name: str, payload: Any) -> str:
    """The same, blocking."""
    job_id, text = document(name, payload)
    with client.pipeline(transaction=True) as pipeline:
        pipeline.set(f"bananas:job:{job_id}", text)
        pipeline.lpush(NORMAL, job_id)
        pipeline.execute()
    return job_id


def submit_once_blocking(client: redis.Redis, job_id: str, name: str, payload: Any) -> str:
    """The same with an id of the caller's: nothing is written where the job exists."""
    _, text = document(name, payload)
    key = f"bananas:job:{job_id}"
    with client.pipeline(transaction=True) as pipeline:
        pipeline.watch(key)
        if not pipeline.exists(key):
            pipeline.multi()
            pipeline.set(key, text)
            pipeline.lpush(NORMAL, job_id)
            pipeline.execute()
    return job_id


def read_blocking(client: redis.Redis, job_id: str) -> Any:
    """Read a job."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.get(f"bananas:job:{job_id}")
        (text,) = pipeline.execute()
    return json.loads(text)


async def submit_many(client: redis.asyncio.Redis, jobs: List[Tuple[str, Any]]) -> List[str]:
    """Submit many in MULTIs of 500 SET and LPUSH."""
    ids: List[str] = []
    for start in range(0, len(jobs), 500):
        async with client.pipeline(transaction=True) as pipeline:
            for name, payload in jobs[start : start + 500]:
                job_id, text = document(name, payload)
                pipeline.set(f"bananas:job:{job_id}", text)
                pipeline.lpush(NORMAL, job_id)
                ids.append(job_id)
            await pipeline.execute()
    return ids


class Waits:
    """Any number of waits over one shared PubSub, with an HGETALL for each notification."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._pubsub: Any = client.pubsub()
        self._futures: Dict[bytes, asyncio.Future[None]] = {}
        self._confirmed: Dict[bytes, asyncio.Future[None]] = {}
        self._task: Optional[asyncio.Task[None]] = None
        self._left: List[str] = []
        self._leaving: Optional[asyncio.Task[None]] = None

    async def start(self) -> None:
        """Start the reader; it needs a channel before it can read."""
        await self._pubsub.subscribe("bananas:none")
        self._task = asyncio.get_running_loop().create_task(self._read())

    async def close(self) -> None:
        """Stop reading."""
        for task in (self._task, self._leaving):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await self._pubsub.aclose()

    async def _read(self) -> None:
        async for message in self._pubsub.listen():
            futures = self._futures if message["type"] == "message" else self._confirmed
            future = futures.pop(message["channel"], None)
            if future is not None and not future.done():
                future.set_result(None)

    async def wait(self, job_id: str) -> Any:
        """Wait for one result: subscribe, look, wait for the notification, read."""
        notified = await self._register(job_id)
        fields = await self._client.hgetall(f"bananas:result:{job_id}")
        if not fields:
            return await self._finish(job_id, notified)
        self._leave(job_id)
        return json.loads(fields[b"result"])

    async def submit_and_wait(self, name: str, payload: Any) -> Any:
        """Subscribe, submit, wait for the notification, read."""
        job_id, text = document(name, payload)
        notified = await self._register(job_id)
        await _push(self._client, job_id, text, HIGH)
        return await self._finish(job_id, notified)

    async def _register(self, job_id: str) -> asyncio.Future[None]:
        """Subscribe, and return the notification's future once it can't be missed."""
        loop = asyncio.get_running_loop()
        channel = _channel(job_id)
        notified = self._futures[channel.encode()] = loop.create_future()
        confirmed = self._confirmed[channel.encode()] = loop.create_future()
        await self._pubsub.subscribe(channel)
        await confirmed
        return notified

    async def _finish(self, job_id: str, notified: asyncio.Future[None]) -> Any:
        await notified
        fields = await self._client.hgetall(f"bananas:result:{job_id}")
        self._leave(job_id)
        return json.loads(fields[b"result"])

    def _leave(self, job_id: str) -> None:
        """Unsubscribe once the result has been returned, together with others."""
        self._left.append(_channel(job_id))
        if self._leaving is None or self._leaving.done():
            self._leaving = asyncio.get_running_loop().create_task(self._unsubscribe())

    async def _unsubscribe(self) -> None:
        while self._left:
            channels, self._left = self._left, []
            await self._pubsub.unsubscribe(*channels)


def _channel(job_id: str) -> str:
    return f"bananas:result:notify:{job_id}"
