"""Large documents: they hold up nobody else, and what a server does not take sinks nobody."""

from __future__ import annotations

import asyncio
from typing import List

import pytest

from bananas import AsyncClient, JobSpec
from bananas import exceptions as exc
from tests.support import FaultProxy, RawClient, RedisServer
from tests.support.slow_link import SlowLink

from .inventory import Inventory, nothing_left, queued_once
from .worker import finish

_MEGABYTE = 1_000_000


@pytest.fixture
def small_server(own_server: RedisServer) -> RedisServer:
    """A server that takes no value of more than a megabyte."""
    own_server.command("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    return own_server


async def test_too_large_beside_others(small_server: RedisServer) -> None:
    """One of many concurrent submits is refused, in one attempt, with its size; no other is."""
    with FaultProxy(small_server) as proxy:
        await _submit_too_large_beside_others(small_server, proxy)


async def _submit_too_large_beside_others(server: RedisServer, proxy: FaultProxy) -> None:
    async with AsyncClient(proxy.url()) as client:
        outcomes = await asyncio.gather(
            *[client.submit_job("work", number) for number in range(8)],
            client.submit_job("work", "x" * 2 * _MEGABYTE),
            return_exceptions=True,
        )
        *ids, error = outcomes
        assert isinstance(error, exc.JobRejectedError)
        assert "2000" in str(error)
        assert proxy.connections_opened == 2
    queued_once(server, *ids)


@pytest.mark.parametrize("size", [1_100_000, 3_333_333, 9_000_000])
async def test_too_large_with_an_id(small_server: RedisServer, size: int) -> None:
    """An id of the caller's makes no difference."""
    async with AsyncClient(small_server.url()) as client:
        with pytest.raises(exc.JobRejectedError, match=str(size)[:4]):
            await client.submit_job("work", "x" * size, job_id="chosen")
        await client.submit_job("work", "small", job_id="chosen")
    queued_once(small_server, "chosen")


async def test_too_large_among_many(small_server: RedisServer) -> None:
    """A submit of many queues all others, and says so."""
    specs: List[JobSpec] = [JobSpec("work", number) for number in range(20)]
    specs[7] = JobSpec("work", "x" * 2 * _MEGABYTE)
    specs[11] = JobSpec("work", "x" * 3 * _MEGABYTE, job_id="chosen")
    async with AsyncClient(small_server.url()) as client:
        with pytest.raises(exc.JobRejectedError) as caught:
            await client.submit_jobs(specs)
    assert len(caught.value.job_ids) == 2
    assert len(caught.value.submitted) == 18
    queued_once(small_server, *caught.value.submitted)


async def test_nothing_is_left_of_it(small_server: RedisServer) -> None:
    """Neither a document nor an id."""
    async with AsyncClient(small_server.url()) as client:
        with pytest.raises(exc.JobRejectedError):
            await client.submit_job("work", "x" * 2 * _MEGABYTE)
    nothing_left(small_server)


async def test_large_documents_that_are_taken(redis_server: RedisServer) -> None:
    """They are queued and read like any other."""
    async with AsyncClient(redis_server.url()) as client:
        ids = await asyncio.gather(
            *[client.submit_job("work", "x" * size * _MEGABYTE) for size in (1, 2, 3, 4)]
        )
        jobs = await client.get_jobs(ids)
        assert [len(job.payload) for job in jobs if job] == [n * _MEGABYTE for n in (1, 2, 3, 4)]
        assert client.stats().connections == 2
    queued_once(redis_server, *ids)


async def test_slow_upload(redis_server: RedisServer) -> None:
    """It is sent once, on one connection, and another caller's wait is not held up."""
    size = 6 * _MEGABYTE
    async with SlowLink(redis_server.port, 2 * _MEGABYTE) as link:
        async with AsyncClient(
            f"redis://127.0.0.1:{link.port}", submit_timeout=60, read_timeout=60
        ) as client:
            stored = await client.submit_job("work", None)
            with RawClient(redis_server.port) as redis:
                finish(redis, [stored])
            upload = asyncio.ensure_future(client.submit_job("work", "x" * size))
            while link.carried_up < size / 4:
                await asyncio.sleep(0.01)
            assert (await client.wait_for_result(stored, timeout=30)).is_success
            assert not upload.done()
            job_id = await upload
            assert client.stats().connections == 2
        assert size < link.carried_up < 1.1 * size
    queued_once(redis_server, stored, job_id)


async def test_slow_download(redis_server: RedisServer) -> None:
    """It is read once, and others' reads go on meanwhile on another connection."""
    size = 6 * _MEGABYTE
    async with AsyncClient(redis_server.url()) as client:
        large = await client.submit_job("work", "x" * size)
        small = await client.submit_job("work", None)
    async with SlowLink(redis_server.port, 2 * _MEGABYTE) as link:
        async with AsyncClient(
            f"redis://127.0.0.1:{link.port}", submit_timeout=60, read_timeout=60
        ) as client:
            download = asyncio.ensure_future(client.get_job(large))
            await asyncio.sleep(0)
            beside = asyncio.ensure_future(client.get_job(small))
            assert await beside is not None
            assert not download.done()
            assert await client.get_job(small) is not None
            assert not download.done()
            job = await download
            assert job is not None
            assert len(job.payload) == size
            assert client.stats().reconnects == 0


async def test_calls_beside_a_download(redis_server: RedisServer) -> None:
    """No call waits behind it for long, also where little of it has come; others are beside it."""
    async with AsyncClient(redis_server.url()) as client:
        large = await client.submit_job("work", "x" * 2 * _MEGABYTE)
        stored = await client.submit_job("work", None)
        with RawClient(redis_server.port) as redis:
            finish(redis, [stored])
    async with SlowLink(redis_server.port, 100_000) as link:
        async with AsyncClient(
            f"redis://127.0.0.1:{link.port}", submit_timeout=60, read_timeout=60
        ) as client:
            downloads: List[asyncio.Future[object]] = []
            for number in range(2):
                before = client.stats().pipelines
                downloads.append(asyncio.ensure_future(client.get_job(large)))
                while client.stats().pipelines == before:  # else it would share its pipeline
                    await asyncio.sleep(0.001)
                await asyncio.gather(
                    client.wait_for_result(stored, timeout=60),
                    client.submit_job("work", number, job_id=f"chosen-{number}"),
                    client.submit_job("work", number),
                )
            assert not any(download.done() for download in downloads)
            for download in downloads:
                download.cancel()
            ids = [job_id for job_id in Inventory(redis_server).queued if job_id != large]
            assert len(ids) == 5
    queued_once(redis_server, large, *ids)


async def test_link_that_is_as_good_as_silent(redis_server: RedisServer) -> None:
    """A link that lets less than 16 kB a second through is given up, and the job is not lost."""
    async with SlowLink(redis_server.port, 4_000) as link:
        client = AsyncClient(f"redis://127.0.0.1:{link.port}", submit_timeout=2)
        try:
            with pytest.raises((exc.OutcomeUnknownError, exc.ConnectionError)):
                await client.submit_job("work", "x" * 500_000)
            assert link.connections > 1
        finally:
            await client.close()
