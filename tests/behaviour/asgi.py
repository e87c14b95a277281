"""Requests to an ASGI application, on the loop of the test, that a caller may leave."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Dict, List, MutableMapping, NamedTuple, Optional, Type
from urllib.parse import urlsplit

__all__ = ["Exchange", "Reply", "ask"]

_PATIENCE = 60.0
Message = MutableMapping[str, Any]


class Reply(NamedTuple):
    """What an application has answered."""

    status: int
    headers: Dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Exchange:
    """One request; its connection is gone when the ``async with`` block is left.

    Args:
        app: The application.
        target: Method and path, as in ``GET /jobs``.
        headers: Of the request.
        body: What to send as JSON.
    """

    def __init__(
        self, app: Any, target: str, headers: Optional[Dict[str, str]] = None, body: Any = None
    ) -> None:
        method, _, path = target.partition(" ")
        parts = urlsplit(path)
        content = b"" if body is None else json.dumps(body).encode()
        given = {"host": "test", "content-type": "application/json", **(headers or {})}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), text.encode()) for name, text in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
            "state": {},
        }
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._to_app.put_nowait({"type": "http.request", "body": content, "more_body": False})
        self._from_app: asyncio.Queue[Optional[Message]] = asyncio.Queue()
        self.sent: List[Message] = []
        self._task = asyncio.ensure_future(app(scope, self._to_app.get, self._send))
        self._task.add_done_callback(lambda _: self._from_app.put_nowait(None))

    async def _send(self, message: Message) -> None:
        self._from_app.put_nowait(message)

    async def message(self) -> Optional[Message]:
        """Return the next message of the application; None at its end."""
        return await asyncio.wait_for(self._from_app.get(), _PATIENCE)

    async def chunk(self) -> str:
        """Return the next piece of the body that is not empty; an empty one at its end."""
        while True:
            message = await self.message()
            if message is None:
                return ""
            if message.get("body"):
                found: bytes = message["body"]
                return found.decode()

    async def reply(self) -> Reply:
        """Return all of the answer."""
        status, headers, body = 0, {}, b""
        while True:
            message = await self.message()
            if message is None:
                await self._task  # raises what the application has raised
                return Reply(status, headers, body)
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {name.decode(): text.decode() for name, text in message["headers"]}
            body += message.get("body", b"")

    async def leave(self) -> None:
        """Let the connection be gone, and the application end by itself."""
        self._to_app.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(self._task, _PATIENCE)

    async def __aenter__(self) -> Exchange:
        return self

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if self._task.done():
            return
        if exc_value is None:
            await self.leave()
        else:
            self._task.cancel()


async def ask(
    app: Any, target: str, headers: Optional[Dict[str, str]] = None, body: Any = None
) -> Reply:
    """Return the answer to a request."""
    return await Exchange(app, target, headers, body).reply()
