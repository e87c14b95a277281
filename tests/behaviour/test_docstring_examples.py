"""The examples in the docstrings of both clients run, and print what their comments say."""

from __future__ import annotations

import asyncio
import inspect
import re
import textwrap
from datetime import timedelta
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from bananas import AsyncClient, Client, JobSpec, JobType
from bananas.operating import CancelOutcome
from bananas.testing import LocalQueue, fail, succeed
from tests.behaviour.broker import Broker
from tests.support import wait_until

_BLOCK = re.compile(r"^    ```python\n(.*?)^    ```$", re.DOTALL | re.MULTILINE)
_PRINTED = re.compile(r"print\(.*\)  # (.*)")
# A property, or the same as another method.
_WITHOUT = {"aclose", "dead_letters", "queue", "results"}
_NAMES: Dict[str, Any] = {
    "AsyncClient": AsyncClient,
    "CancelOutcome": CancelOutcome,
    "Client": Client,
    "Dict": Dict,
    "JobSpec": JobSpec,
    "JobType": JobType,
    "timedelta": timedelta,
}


def _examples(cls: type) -> List[Tuple[str, str]]:
    """Return each public method's example, or no text where there is none."""
    found = []
    for name in sorted(vars(AsyncClient)):
        if name.startswith("_") or name in _WITHOUT:
            continue
        blocks = _BLOCK.findall(inspect.getdoc(getattr(cls, name)) or "")
        found.append((name, textwrap.dedent("".join(blocks))))
    return found


_CASES = [(cls, name, code) for cls in (AsyncClient, Client) for name, code in _examples(cls)]


@pytest.fixture
def queue(real_broker: Broker) -> Iterator[LocalQueue]:
    with LocalQueue(real_broker.url) as queue:
        queue.handle("greet", lambda job: f"hello, {job.payload['name']}")
        queue.handle("second", [fail("no"), succeed("done")])
        yield queue


def _job_for(name: str, client: Client) -> str:
    """Return the id of a job to which a method can be applied."""
    payload = {"name": "Ada"}
    if name in ("cancel", "reschedule"):
        return client.submit_job_scheduled("greet", payload, scheduled_for=timedelta(hours=1))
    handler = "second" if name == "requeue" else "greet"
    job_id = client.submit_and_wait(handler, payload, max_retries=1).job_id
    # A worker rewrites the document a moment after it has announced the result.
    wait_until(lambda: client.locate(job_id).place in ("completed", "dead"), "the job has ended")
    # And it takes the job out of its list after that.
    wait_until(lambda: client.explain(job_id).situation != "taken", "the worker has left it")
    return job_id


def test_every_method_has_an_example() -> None:
    """An editor shows how each method is called."""
    assert [(cls.__name__, name) for cls, name, code in _CASES if not code] == []


def test_an_example_is_short() -> None:
    """An example fits the page that shows it."""
    for _, name, code in _CASES:
        lines = code.splitlines()
        assert len(lines) <= 4, name
        assert max(map(len, lines)) <= 78, name


@pytest.mark.parametrize("cls", [AsyncClient, Client])
def test_every_example_runs(
    cls: type,
    queue: LocalQueue,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An example prints what its comments say."""
    monkeypatch.setenv("BANANAS_REDIS_URL", queue.url)
    with Client(queue.url) as client:
        for name, code in _examples(cls):
            if (cls, name) == (Client, "from_sentinel"):
                continue  # it would look for its sentinels
            names = {**_NAMES, "job_id": _job_for(name, client)}
            if cls is Client:
                exec(code, {**names, "client": client})
            else:
                asyncio.run(_run(code, names, queue.url))
            printed = capsys.readouterr().out
            for said in _PRINTED.findall(code):
                assert said in printed or "in words" in said, name


async def _run(code: str, names: Dict[str, Any], url: str) -> None:
    body = textwrap.indent(code, "    ")
    async with AsyncClient(url) as client:
        scope = {**names, "client": client}
        exec(f"async def example(client, job_id):\n{body}", scope)
        await scope["example"](client, names["job_id"])
