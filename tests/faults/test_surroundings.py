"""Where an event loop can't run, a client says so when it is made, or with the first call."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import pickle
import subprocess
import sys
from typing import Any, Callable, Coroutine, Dict, List

import pytest
import trio

from bananas import AsyncClient, Client
from bananas import exceptions as exc
from tests.support import RedisServer

from .running import ROOT

_PATIENCE = 60.0

PATCHES = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "gevent without threads": "from gevent import monkey; monkey.patch_all(thread=False)",
    "gevent's threads": "from gevent import monkey; monkey.patch_thread()",
    "gevent's sockets": "from gevent import monkey; monkey.patch_socket()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
    "eventlet without threads": "import eventlet; eventlet.monkey_patch(thread=False)",
}
MAKERS = {
    "AsyncClient": "bananas.AsyncClient(sys.argv[1])",
    "Client": "bananas.Client(sys.argv[1])",
    "from_sentinel": "bananas.Client.from_sentinel([('127.0.0.1', 1)], 'name')",
}


def _run(*lines: str, url: str = "redis://127.0.0.1:1") -> str:
    """Run a program and return its last words."""
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(lines), url],
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_PATIENCE,
        text=True,
    )
    return ran.stdout.strip().rpartition("\n")[2]


@pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
@pytest.mark.parametrize("patch", PATCHES.values(), ids=list(PATCHES))
def test_green_threads(patch: str, make: str) -> None:
    """gevent and eventlet are refused at construction, in one line that names a remedy."""
    patcher = "gevent" if "gevent" in patch else "eventlet"
    assert _run(patch, "import sys, bananas", make) == (
        f"RuntimeError: bananas needs asyncio, which does not work where {patcher} has patched "
        "the standard library: use real threads (gunicorn's gthread workers, Celery's prefork or "
        "threads pool) or asyncio"
    )


def test_green_threads_that_patch_nothing(redis_server: RedisServer) -> None:
    """To have gevent and eventlet imported, by somebody else's code, does no harm."""
    client = "print(len(bananas.Client(sys.argv[1]).submit_job('work', None)))"
    imports = "import gevent.monkey, eventlet.patcher, sys, bananas"
    assert _run(imports, client, url=redis_server.url()) == "36"


CALLS: Dict[str, Callable[[AsyncClient], Coroutine[Any, Any, Any]]] = {
    "connect": lambda client: client.connect(),
    "submit": lambda client: client.submit_job("work", None),
    "read": lambda client: client.get_job("job"),
    "read many": lambda client: client.get_results(["job"]),
    "wait": lambda client: client.wait_for_result("job", 1),
    "wait at once": lambda client: client.wait_for_result("job", 0),
    "submit and wait": lambda client: client.submit_and_wait("work", None, timeout=1),
    "iterate": lambda client: client.as_completed(["job"], 1).__anext__(),
    "enter": lambda client: client.__aenter__(),
    "inspect": lambda client: client.queue.depths(),
    "delete": lambda client: client.results.delete_result("job"),
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_trio(name: str) -> None:
    """Under trio every call says that asyncio is needed."""
    client = AsyncClient("redis://127.0.0.1:1")
    with pytest.raises(RuntimeError) as caught:
        trio.run(CALLS[name], client)
    assert str(caught.value) == "AsyncClient needs asyncio; trio is not supported"
    trio.run(client.close)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_closed_in_an_earlier_loop(redis_server: RedisServer, name: str) -> None:
    """A closed client says that it is closed, in whichever loop it is used."""
    client = AsyncClient(redis_server.url())

    async def use() -> None:
        await client.connect()
        await client.close()

    async def use_again() -> None:
        with pytest.raises(exc.ClientClosedError, match="the client is closed; make a new one"):
            await CALLS[name](client)

    asyncio.run(use())
    asyncio.run(use_again())


def _parts(client: Any) -> List[Any]:
    names = [name for name in ("queue", "results") if name in dir(client)]
    return [client, client.as_completed(["job"]), *(getattr(client, name) for name in names)]


@dataclasses.dataclass
class Service:
    """Something of a user's that holds a client."""

    client: Any


@pytest.mark.parametrize("make", [AsyncClient, Client])
def test_copies(redis_server: RedisServer, make: Callable[[str], Any]) -> None:
    """A copy of a client, or of one of its parts, is the thing itself; none can be pickled."""
    client = make(redis_server.url())
    for part in _parts(client):
        assert copy.copy(part) is part
        assert copy.deepcopy(part) is part
        assert copy.deepcopy({"part": [part]})["part"][0] is part
        assert dataclasses.asdict(Service(part)) == {"client": part}
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError) as caught:
                pickle.dumps(part, protocol)
            assert str(caught.value) == (
                f"{type(part).__name__} can't be pickled: pass the URL, and make a client in the "
                "other process"
            )
    if isinstance(client, Client):
        client.submit_job("work", None)
        client.close()


def test_copies_of_a_client_in_use(redis_server: RedisServer) -> None:
    """Copying a client while its calls are under way disturbs none of them."""

    async def main() -> None:
        async with AsyncClient(redis_server.url()) as client:
            calls = [client.submit_job("work", number) for number in range(10)]
            submits = asyncio.gather(*calls)
            await asyncio.sleep(0)
            assert copy.deepcopy([client, client.queue]) == [client, client.queue]
            assert len(set(await submits)) == 10

    asyncio.run(main())


def test_no_thread_to_be_had(redis_server: RedisServer) -> None:
    """Where the system gives no thread, the error says so; a later call finds one."""
    lines = [
        "import resource, sys, threading",
        "from bananas import Client",
        "limits = resource.getrlimit(resource.RLIMIT_AS)",
        "resource.setrlimit(resource.RLIMIT_AS, (4 << 30, limits[1]))",
        "threading.stack_size(8 << 30)",
        "with Client(sys.argv[1]) as client:",
        "    job_id = client.submit_job('work', None)",  # needs no thread
        "    try:",
        "        client.get_job(job_id)",
        "    except RuntimeError as error:",
        "        found = f'{type(error).__name__}: {error}; {type(error.__cause__).__name__}'",
        "    resource.setrlimit(resource.RLIMIT_AS, limits)",
        "    threading.stack_size(0)",
        "    print(len(client.get_job(job_id).id), found)",
    ]
    assert _run(*lines, url=redis_server.url()) == (
        "36 RuntimeError: can't start the thread of the blocking client: can't start new thread "
        "(is there a limit on processes, or on memory?); RuntimeError"
    )
