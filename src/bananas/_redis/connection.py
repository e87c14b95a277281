"""Connection: what connections of every kind do to connect, and know of the server then."""

from __future__ import annotations

import ssl
from abc import abstractmethod
from typing import Any, Generic, Optional, Sequence, Tuple, Type, TypeVar

from .. import exceptions as exc
from .._fork_safety import OwnProcess
from .connect_errors import connect_refusal, login_refusal
from .handshake import Handshake
from .open_stream import Opening, Step
from .protocol import ReplyError
from .url import Endpoint

__all__ = ["Connection"]

Opens = TypeVar("Opens", bound=Opening)


class Connection(Handshake, Generic[Opens]):
    """One connection to Redis with every default pinned, for one owner.

    redis-py makes the handshake: credentials and database. What follows is sent and read here.

    redis-py's retries are off (they send a transaction twice), RESP2 is spoken (RESP3 hands out
    dirty connections on 8.1), there is no socket timeout (it kills idle reads, and loses a native
    cancellation below Python 3.12), and nothing reconnects behind the owner's back.

    Args:
        endpoint: Where to connect to, and as whom.
        connect_timeout: Limit of all that ``connect`` does, in seconds.
        two_slots: Two keys that lie in different slots of a cluster.
        what: What listens there, for messages.
        ssl_context: What TLS uses in place of the endpoint's options.
        credential_provider: What is asked for the user name and password.

    Attributes:
        endpoint: Where it connects to, and as whom.
    """

    _opening_kind: Type[Opens]

    def __init__(
        self,
        endpoint: Endpoint,
        connect_timeout: float,
        two_slots: Sequence[bytes] = (b"{a}", b"{b}"),
        *,
        what: str = "Redis",
        ssl_context: Optional[ssl.SSLContext] = None,
        credential_provider: Any = None,
    ) -> None:
        self.endpoint = endpoint
        self._two_slots = two_slots
        self._provider = credential_provider
        self._opening = self._opening_kind(
            endpoint, what, connect_timeout, ssl_context, credential_provider is not None
        )
        self._process = OwnProcess()

    async def connect(self, *, sentinel: bool = False) -> None:
        """Connect, authenticate, and learn who we are to the server.

        Raises:
            exceptions.ConnectionError: It can't be done; ``permanent`` says that trying again is
                pointless. Its cause is ``NotReady`` where the server said that it is not, and
                ``NeedsLoop`` where the credentials can't be had here.
        """
        try:
            await self._connect(sentinel)
        except BaseException as error:
            self.abort()
            if isinstance(error, Exception):
                refusal = connect_refusal(self._opening, error)
                raise refusal from refusal.__cause__
            raise

    async def _connect(self, sentinel: bool) -> None:
        """Connect; each kind adds the time limit."""
        await self._open()
        if not sentinel:
            await self._introduce(self._two_slots)

    async def _open(self) -> None:
        """Open the stream and log in, with credentials of this moment."""
        login = self.endpoint.username, self.endpoint.password
        if self._provider is not None:
            self._opening.step = Step.CREDENTIALS
            login = await self._ask_provider()
        await self._log_in(*login)

    async def _reopen(self) -> None:
        await self.aclose()
        await self._open()

    def login_refusal(self, reply: ReplyError) -> exc.AuthenticationError:
        """Say that the server wants a login, or refuses the one that it was given."""
        return login_refusal(self._opening, reply)

    # -- what differs ----------------------------------------------------------------------------

    @abstractmethod
    async def _ask_provider(self) -> Tuple[Optional[str], Optional[str]]:
        """Return user name and password of this moment."""

    @abstractmethod
    async def _log_in(self, username: Optional[str], password: Optional[str]) -> None:
        """Open the stream, and have redis-py log in."""

    @abstractmethod
    def abort(self) -> None:
        """Drop the connection at once."""

    async def aclose(self) -> None:
        """Drop the connection."""
        self.abort()
