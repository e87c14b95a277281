"""The client of a Starlette application, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import (
    Any,
    AsyncContextManager,
    AsyncIterator,
    Callable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Union,
)

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from .._http import call_on_termination
from ..client import AsyncClient

__all__ = ["bananas_lifespan", "client_of", "open_client", "stopping_of"]

Lifespan = Callable[[Any], AsyncContextManager[Any]]


def bananas_lifespan(
    make_client: Callable[[], AsyncClient] = AsyncClient,
    *,
    inner: Optional[Lifespan] = None,
    connect: bool = True,
) -> Lifespan:
    """Return a lifespan that opens a client at the start, and closes it at the end.

    Write ``FastAPI(lifespan=bananas_lifespan())``. Each worker process has its own client.

    Args:
        make_client: A function that is called at each start. By default it makes a client for
            ``BANANAS_REDIS_URL``, or else for ``redis://localhost:6379``.
        inner: Your own lifespan. It runs while the client is open, and its state is passed on.
        connect: True: the start fails if Redis can't be reached. False: the first call connects.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Any]:
        async with open_client(app, make_client(), connect=connect):
            if inner is None:
                yield None
            else:
                async with inner(app) as state:
                    yield state

    return lifespan


@contextlib.asynccontextmanager
async def open_client(
    app: Starlette, client: Optional[AsyncClient] = None, *, connect: bool = True
) -> AsyncIterator[AsyncClient]:
    """Open a client for an application, in your own lifespan.

    Applications that are mounted before get it, too. When the server stops (SIGTERM, SIGINT), event
    streams end and waits are answered with 202 at once.

    Args:
        app: The application.
        client: The client; it is closed at the end. None makes one for ``BANANAS_REDIS_URL``.
        connect: True: it fails if Redis can't be reached. False: the first call connects.

    Raises:
        ConnectionError: Redis can't be reached.
    """
    opened = AsyncClient() if client is None else client
    try:
        if connect:
            await opened.connect()
        stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def stop() -> None:
            if not stopping.done():
                stopping.set_result(None)

        mine = _Open(opened, stopping)
        apps = list(dict.fromkeys(_with_mounted(app)))  # one may be mounted at two paths
        for each in apps:
            _show(each, [*_all_open(each), mine])
        try:
            with call_on_termination(stop):
                yield opened
        finally:
            stop()
            for each in apps:
                _show(each, [other for other in _all_open(each) if other is not mine])
    finally:
        await opened.close()


def client_of(source: Union[HTTPConnection, Starlette]) -> AsyncClient:
    """Return the open client of an application.

    Args:
        source: A request, a WebSocket, or the application itself.

    Raises:
        RuntimeError: No client is open, because the lifespan did not run.
    """
    app = source if isinstance(source, Starlette) else source.app
    client = _client(app)
    if client is None:
        raise RuntimeError(
            "the application has no open client: give it lifespan=bananas_lifespan(), or call "
            "open_client(app) in its own lifespan; a test has to run the lifespan, with "
            "'with TestClient(app) as http'"
        )
    return client


def stopping_of(connection: HTTPConnection) -> Optional[asyncio.Future[None]]:
    """Return what is done when the server is about to stop; None for a client of your own."""
    stopping: Optional[asyncio.Future[None]]
    stopping = getattr(connection.app.state, "bananas_stopping", None)
    return stopping


class _Open(NamedTuple):
    """A client that is open, and what is done when the server is about to stop."""

    client: AsyncClient
    stopping: asyncio.Future[None]


def _client(app: Starlette) -> Optional[AsyncClient]:
    found: Optional[AsyncClient] = getattr(app.state, "bananas_client", None)
    return found


def _all_open(app: Starlette) -> List[_Open]:
    """Return the open clients of an application: one for each of its lifespans under way."""
    found: List[_Open] = getattr(app.state, "bananas_open", [])
    return found


def _show(app: Starlette, clients: List[_Open]) -> None:
    """Have an application use the last of its open clients."""
    state = app.state
    if clients:
        state.bananas_open = clients
        state.bananas_client, state.bananas_stopping = clients[-1]
    else:
        del state.bananas_open, state.bananas_client, state.bananas_stopping


def _with_mounted(app: Starlette) -> Iterator[Starlette]:
    """Yield an application, and those that are mounted in it and have no client of their own."""
    yield app
    for route in app.routes:
        mounted = route.app if isinstance(route, Mount) else None
        if isinstance(mounted, Starlette) and _client(mounted) is _client(app):
            yield from _with_mounted(mounted)
