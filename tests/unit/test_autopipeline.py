"""The auto-pipeline where no connection is to be had."""

from __future__ import annotations

import asyncio
from typing import Any, List, Optional

import anyio

from bananas import TimeoutError as BananasTimeoutError
from bananas._autopipeline import AutoPipeline
from bananas._batch import Entry
from bananas._redis import Link


async def never() -> Link:
    raise await asyncio.get_running_loop().create_future()


async def test_what_is_asked_for_when_time_is_over_has_a_time_limit_too() -> None:
    pipeline = AutoPipeline(never, connect_timeout=60, submit_timeout=60, read_timeout=0.02)
    patient = pipeline.start_submit([Entry("a", b"a", b"key", b"{}", b"list")])
    second: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def told_again(_: Optional[List[Any]], error: Optional[BaseException]) -> None:
        assert error is not None
        second.set_result(error)

    def told(_: Optional[List[Any]], error: Optional[BaseException]) -> None:
        pipeline.start([(b"PING",)], told_again)

    pipeline.start([(b"PING",)], told)
    with anyio.fail_after(30):
        error = await second
    assert isinstance(error, (BananasTimeoutError, ConnectionError))
    assert not patient.done()
    patient.cancel()
    await pipeline.close()
