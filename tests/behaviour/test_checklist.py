"""The users that the deployment checklist makes may do what it says, and no more is needed."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from typing import Iterator, List
from urllib.parse import urlsplit

import pytest

from bananas import AsyncClient, ServerError
from bananas.testing import LocalQueue, fail
from tests.behaviour.broker import Broker
from tests.behaviour.programs import ROOT

_PAGE = ROOT / "docs" / "how-to" / "deployment.md"
_USERS = re.findall(r"^redis-cli (ACL SETUSER (?:.*\\\n)*.*)\n", _PAGE.read_text("utf-8"), re.M)


def _commands() -> List[List[str]]:
    return [shlex.split(command.replace("\\\n", " ")) for command in _USERS]


@pytest.fixture
def broker(real_broker: Broker) -> Iterator[Broker]:
    """The real Redis, with the users of the page."""
    names = []
    for command in _commands():
        real_broker.command(*command)
        names.append(command[2])
    yield real_broker
    real_broker.command("ACL", "DELUSER", *names)


def _url(broker: Broker, user: str) -> str:
    return f"redis://{user}@127.0.0.1:{urlsplit(broker.url).port}"


async def test_a_client_submits_and_waits(broker: Broker) -> None:
    """The first user submits, with an id of its own too, and gets results and failures."""
    with LocalQueue(broker.url) as queue:
        queue.handle("greet", lambda job: "hello")
        queue.handle("break", fail("no"))
        async with AsyncClient(_url(broker, "web:secret")) as client:
            assert (await client.submit_and_wait("greet", {})).get_result() == "hello"
            assert await client.submit_job("greet", {}, job_id="mine") == "mine"
            assert (await client.submit_and_wait("break", {}, max_retries=1)).error == "no"
            later = await client.submit_job_scheduled("greet", {}, scheduled_for=timedelta(hours=1))
            with pytest.raises(ServerError, match="no right to"):
                await client.cancel(later)


async def test_an_operator_looks_and_repairs(broker: Broker) -> None:
    """The second user explains, counts, lists, changes and deletes jobs."""
    with LocalQueue(broker.url, background=False) as queue:
        queue.handle("break", fail("no"))
        async with AsyncClient(_url(broker, "operator:secret2")) as client:
            later = timedelta(hours=1)
            job_id = await client.submit_job_scheduled("greet", {}, scheduled_for=later)
            dead = await client.submit_job("break", {}, max_retries=1)
            await queue.run_until_idle_async()
            assert (await client.explain(job_id)).situation == "scheduled"
            assert (await client.queue.depths(discover=True)).scheduled == 1
            assert [entry.id async for entry in client.queue.jobs("dead")] == [dead]
            assert await client.reschedule(job_id, 2 * later) == "rescheduled"
            assert await client.cancel(job_id) == "cancelled"
            assert await client.delete(job_id) == "deleted"
            assert (await client.recover(later)).done == 0
            assert (await client.dead_letters.requeue(all=True)).done == 1
            await queue.run_until_idle_async()
            assert (await client.dead_letters.purge(all=True)).done == 1
