"""The door to redis-py: a pinned connection with one owner, and the translation of errors."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Type, Union

import anyio
import redis.exceptions as redis_errors
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from . import exceptions as exc
from ._config import Endpoint

try:
    import hiredis

    # Its stub knows tuples of one argument only.
    _pack_command: Optional[Callable[[Any], bytes]] = hiredis.pack_command
except (ImportError, AttributeError):  # pragma: no cover - hiredis before 2.1
    _pack_command = None

try:
    from redis._parsers.hiredis import NOT_ENOUGH_DATA as _NOT_ENOUGH_DATA
except ImportError:  # pragma: no cover - then every reply goes through read_response()
    _NOT_ENOUGH_DATA = None

__all__ = ["Argument", "Command", "Link", "LinkLost", "Reply", "ReplyError"]

Argument = Union[bytes, str, int]
Command = Tuple[Argument, ...]
Reply = Any

#: What CLIENT LIST calls our connections.
_CLIENT_NAME = "bananas"


class LinkLost(Exception):
    """The connection is of no more use; whether what was sent arrived is not known."""


class ReplyError:
    """An error that Redis replied with, as a value: code, and text without any argument."""

    __slots__ = ("code", "text")

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text

    def __repr__(self) -> str:
        return f"ReplyError({self.code!r}, {self.text!r})"

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


# redis-py takes the code off the text of the errors that it has a class for.
_CODES: Dict[Type[BaseException], str] = {
    redis_errors.AuthenticationError: "NOAUTH",
    redis_errors.AuthenticationWrongNumberOfArgsError: "ERR",
    redis_errors.BusyLoadingError: "LOADING",
    redis_errors.ExecAbortError: "EXECABORT",
    redis_errors.ReadOnlyError: "READONLY",
    redis_errors.NoPermissionError: "NOPERM",
    redis_errors.NoScriptError: "NOSCRIPT",
    redis_errors.ModuleError: "ERR",
    redis_errors.OutOfMemoryError: "OOM",
    redis_errors.ClusterDownError: "CLUSTERDOWN",
    redis_errors.MasterDownError: "MASTERDOWN",
    redis_errors.MovedError: "MOVED",
    redis_errors.AskError: "ASK",
    redis_errors.TryAgainError: "TRYAGAIN",
    redis_errors.ClusterCrossSlotError: "CROSSSLOT",
}
_FIRST_WORD = re.compile(r"([A-Z][A-Z0-9]{2,}) (.*)", re.DOTALL)
_REFUSALS = (redis_errors.AuthenticationError, redis_errors.AuthorizationError,
             redis_errors.NoPermissionError,
             redis_errors.AuthenticationWrongNumberOfArgsError)  # fmt: skip


def reply_error(error: BaseException) -> ReplyError:
    """Translate an error that redis-py made of a reply."""
    # Redis repeats the arguments of a command that it does not know, and they may be a payload.
    text = str(error).split(", with args beginning with", 1)[0][:300]
    code = _CODES.get(type(error))
    if code is not None:
        return ReplyError(code, text)
    match = _FIRST_WORD.match(text)
    return ReplyError(match.group(1), match.group(2)) if match else ReplyError("ERR", text)


_PLAIN = frozenset({bytes, int, type(None)})


def _translated(reply: List[Any]) -> Reply:
    """Replace the exceptions inside a reply (of EXEC, say) by values."""
    for item in reply:
        if item.__class__ not in _PLAIN:
            return [_translated_item(item) for item in reply]
    return reply


def _translated_item(item: Any) -> Reply:
    if isinstance(item, BaseException):
        return reply_error(item)
    return _translated(item) if item.__class__ is list else item


def pack(commands: Iterable[Command]) -> List[bytes]:
    """Return the bytes of some commands."""
    if _pack_command is not None:
        return [_pack_command(command) for command in commands]
    packed: List[bytes] = Connection().pack_commands(commands)  # pragma: no cover
    return packed  # pragma: no cover


class Link:
    """One connection to Redis with every default pinned, for one owner task.

    redis-py's retries are off (they send a transaction twice), RESP2 is spoken (RESP3 hands out
    dirty connections on 8.1), there is no socket timeout (it kills idle reads, and loses a native
    cancellation below Python 3.12), and nothing reconnects behind the owner's back.
    """

    def __init__(self, endpoint: Endpoint, connect_timeout: float) -> None:
        self.endpoint = endpoint
        self.client_id: Optional[int] = None
        self.role: Optional[str] = None
        self.run_id: Optional[str] = None
        self.no_transactions: Optional[ReplyError] = None
        self._connect_timeout = connect_timeout
        self._connection = _make_connection(endpoint)

    def __repr__(self) -> str:
        return f"<Link to {self.endpoint}>"

    async def connect(self, *, sentinel: bool = False) -> None:
        """Connect, authenticate, and learn who we are to the server.

        Raises:
            exceptions.ConnectionError: It can't be done; ``permanent`` says that trying again is
                pointless.
        """
        try:
            with anyio.fail_after(self._connect_timeout):
                await self._connection.connect()
                if not sentinel:
                    await self._introduce()
        except BaseException as error:
            self.abort()
            if isinstance(error, Exception):
                raise self._refusal(error) from None
            raise

    async def _introduce(self) -> None:
        """Learn our id, the server's run id and whether we may use MULTI, and refuse a cluster.

        The id is what a lost connection is fenced by; to another server process it means nothing.
        """
        await self.send(
            pack(
                [
                    ("HELLO", 2, "SETNAME", _CLIENT_NAME),
                    ("CLIENT", "ID"),
                    ("INFO", "server"),
                    ("DISCARD",),
                ]
            )
        )
        hello, client_id, info, discard = [await self.read() for _ in range(4)]
        if isinstance(hello, list):
            facts = dict(zip(hello[::2], hello[1::2]))
            if facts.get(b"mode") == b"cluster":
                raise _Permanent(
                    "is a Redis Cluster, which is not supported: the queue's keys live in many "
                    "slots; use a single primary or Sentinel"
                )
            role = facts.get(b"role")
            self.role = role.decode() if isinstance(role, bytes) else None
        if isinstance(hello, ReplyError) and hello.code in ("LOADING", "MASTERDOWN"):
            raise ConnectionRefusedError(str(hello))
        if isinstance(client_id, ReplyError) and client_id.code == "NOAUTH":
            raise exc.AuthenticationError(
                f"Redis at {self.endpoint} wants a password, and was given none", permanent=True
            )
        self.client_id = client_id if isinstance(client_id, int) else None
        if isinstance(discard, ReplyError) and discard.code == "NOPERM":
            # Who may not use DISCARD may not use MULTI either, as a rule, but has to be asked.
            await self.send(pack([("MULTI",), ("EXEC",)]))
            multi, _ = [await self.read() for _ in range(2)]
            self.no_transactions = multi if isinstance(multi, ReplyError) else None
        if isinstance(info, bytes):
            match = re.search(rb"^run_id:(\S+)", info, re.MULTILINE)
            self.run_id = match.group(1).decode() if match else None

    def _refusal(self, error: Exception) -> exc.ConnectionError:
        """Say why a connection could not be made; redis-py's own words may hold a password."""
        where = f"Redis at {self.endpoint}"
        if isinstance(error, exc.ConnectionError):
            return error
        if isinstance(error, _Permanent):
            return exc.ConnectionError(f"{where} {error}", permanent=True)
        if isinstance(error, _REFUSALS):
            return exc.AuthenticationError(
                f"{where} refuses the user name or password: {reply_error(error)}", permanent=True
            )
        if isinstance(error, redis_errors.ResponseError):
            return exc.ConnectionError(f"{where} refuses: {reply_error(error)}", permanent=True)
        if isinstance(error, redis_errors.BusyLoadingError):
            return exc.ConnectionError(f"{where} is still loading its data")
        if isinstance(error, (TimeoutError, asyncio.TimeoutError, redis_errors.TimeoutError)):
            return exc.ConnectionError(f"{where} did not answer within {self._connect_timeout:g} s")
        return exc.ConnectionError(f"can't reach {where}: {_cause(error)}")

    async def send(self, chunks: Sequence[bytes]) -> None:
        """Write packed commands.

        Raises:
            LinkLost: The connection is gone; some of the bytes may have arrived.
        """
        # redis-py would connect again and send on the new connection.
        if not self._connection.is_connected:
            raise LinkLost("not connected")
        try:
            await self._connection.send_packed_command(chunks, check_health=False)
        except Exception as error:
            raise LinkLost(_cause(error)) from None

    async def read(self) -> Reply:
        """Read one reply, for as long as it takes; an error reply is returned as a value.

        Raises:
            LinkLost: The connection is gone.
        """
        try:
            reply = await self._connection.read_response(disconnect_on_error=False)
        except (redis_errors.ResponseError, redis_errors.BusyLoadingError) as error:
            return reply_error(error)
        except redis_errors.AuthenticationError as error:
            return reply_error(error)
        except Exception as error:
            # On 3.12 and 3.13 an AttributeError escapes from a socket that was just closed.
            raise LinkLost(_cause(error)) from None
        return _translated(reply) if reply.__class__ is list else reply

    async def read_replies(self, count: int) -> List[Reply]:
        """Read the replies to ``count`` commands.

        Raises:
            LinkLost: The connection is gone.
        """
        replies: List[Reply] = []
        while len(replies) < count:
            replies.append(await self.read())
            if len(replies) < count:
                self._take_arrived(replies, count)
        return replies

    async def read_arrived(self) -> List[Reply]:
        """Read one reply, for as long as it takes, and with it all that have arrived.

        Raises:
            LinkLost: The connection is gone.
        """
        replies = [await self.read()]
        self._take_arrived(replies, sys.maxsize)
        return replies

    def _take_arrived(self, replies: List[Reply], most: int) -> None:
        """Add the complete replies that need no more reading, until there are ``most``."""
        gets = self._gets()
        if gets is None:
            return
        try:
            while len(replies) < most:
                reply = gets()
                if reply is _NOT_ENOUGH_DATA:
                    return
                if isinstance(reply, Exception):
                    reply = reply_error(reply)
                replies.append(_translated(reply) if reply.__class__ is list else reply)
        except Exception as error:
            raise LinkLost(_cause(error)) from None

    def _gets(self) -> Optional[Callable[[], Any]]:
        """Return what takes a complete reply out of what has arrived; None without hiredis.

        redis-py's read_response() costs more than all else that a notification costs, although
        nothing is to be awaited for the second and later replies of what one read brought.
        """
        if _NOT_ENOUGH_DATA is None:
            return None
        reader = getattr(self._connection._parser, "_reader", None)
        return getattr(reader, "gets", None)

    def is_dirty(self) -> bool:
        """Whether there is anything to read, or the peer has closed, where nothing is expected."""
        reader = self._connection._reader
        parser = getattr(self._connection._parser, "_reader", None)
        # The public can_read_destructive() was renamed in 8.0, and takes a turn of the loop.
        return (
            reader is None
            or reader.at_eof()
            or bool(reader._buffer)
            or (parser is not None and hasattr(parser, "has_data") and parser.has_data())
        )

    def abort(self) -> None:
        """Drop the connection at once; a read in progress ends with ``LinkLost``.

        redis-py's disconnect() would go on sending what is buffered.
        """
        writer = self._connection._writer
        if writer is not None:
            writer.transport.abort()
            self._connection._writer = self._connection._reader = None

    async def aclose(self) -> None:
        """Drop the connection and let the loop forget its transport."""
        writer = self._connection._writer
        self.abort()
        if writer is not None:
            with anyio.move_on_after(1, shield=True):
                try:
                    await writer.wait_closed()
                except Exception:
                    pass  # closing is all that is left to do


class _Permanent(Exception):
    """Trying to connect again is pointless."""


def _make_connection(endpoint: Endpoint) -> Any:
    pinned: Dict[str, Any] = {
        "db": endpoint.db,
        "username": endpoint.username,
        "password": endpoint.password,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_timeout": False,
        "socket_timeout": None,
        "socket_connect_timeout": None,  # connect() bounds the handshake too
        "health_check_interval": 0,
        "decode_responses": False,
        "protocol": 2,
    }
    if endpoint.scheme == "unix":
        return UnixDomainSocketConnection(path=endpoint.path, **pinned)
    pinned.update(host=endpoint.host, port=endpoint.port, socket_keepalive=True)
    if endpoint.scheme == "redis":
        return Connection(**pinned)
    tls = dict(endpoint.tls)
    # redis-py 5 checks no host names unless told to.
    tls.setdefault("ssl_check_hostname", tls.get("ssl_cert_reqs", "required") == "required")
    return SSLConnection(**pinned, **tls)


def _cause(error: BaseException) -> str:
    """Name the cause of a failure in words of our own."""
    if isinstance(error, LinkLost):
        return str(error)
    inner = error.__cause__ or error.__context__
    if not isinstance(error, OSError) and isinstance(inner, OSError):
        error = inner
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "the host name can't be resolved"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = str(error)
    if "Connection closed by server" in text:
        return "the connection was closed by the server"
    if isinstance(error, redis_errors.ConnectionError) and "max number of clients" in text:
        return "the server has reached its maximum number of clients"
    return type(error).__name__
