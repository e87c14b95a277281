"""Connection: what connections of every kind do to connect, and know of the server then."""

from __future__ import annotations

import os
import ssl
from typing import Any, Generic, List, Optional, Sequence, Tuple, Type, TypeVar

from .. import exceptions as exc
from .connect_errors import Attempt
from .handshake import introduce
from .open_stream import Opening
from .protocol import Command, Reply, ReplyError
from .url import Endpoint

__all__ = ["Connection"]

Opens = TypeVar("Opens", bound=Opening)


class Connection(Generic[Opens]):
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
        client_id: The server's number for the connection; None where it tells none.
        role: ``master``, or another word; None where it tells none.
        run_id: Names the server's process; None where it tells none.
        no_transactions: Why MULTI and EXEC may not be used, if they may not.
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
        self.client_id: Optional[int] = None
        self.role: Optional[str] = None
        self.run_id: Optional[str] = None
        self.no_transactions: Optional[ReplyError] = None
        self._two_slots = two_slots
        self._provider = credential_provider
        self._opening = self._opening_kind(endpoint, ssl_context)
        self._attempt = Attempt(
            what, self._opening, connect_timeout, asks_provider=credential_provider is not None
        )
        self._process = os.getpid()

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
                refusal = self._attempt.refusal(error)
                raise refusal from refusal.__cause__
            raise

    async def _connect(self, sentinel: bool) -> None:
        """Connect, within the time that there is; one kind or the other says how it ends."""
        await self._open()
        if not sentinel:
            facts = await introduce(self.ask, self._reopen, self.login_refusal, self._two_slots)
            self.client_id, self.role, self.run_id, self.no_transactions = facts

    async def _open(self) -> None:
        """Open the stream and log in, with credentials of this moment."""
        login = self.endpoint.username, self.endpoint.password
        if self._provider is not None:
            self._attempt.awaits_provider = True
            login = await self._ask_provider()
            self._attempt.awaits_provider = False
        await self._log_in(*login)

    async def _reopen(self) -> None:
        await self.aclose()
        await self._open()

    def login_refusal(self, reply: ReplyError) -> exc.AuthenticationError:
        """Say that the server wants a login, or refuses the one that it was given."""
        return self._attempt.login_refusal(reply)

    # -- what differs ----------------------------------------------------------------------------

    async def ask(self, commands: Sequence[Command], limit: Optional[float] = None) -> List[Reply]:
        """Send commands and read their replies, for ``limit`` seconds at most.

        Raises:
            TimeoutError: They do not come in time.
            LinkLost: The connection is gone.
        """
        raise NotImplementedError

    async def _ask_provider(self) -> Tuple[Optional[str], Optional[str]]:
        raise NotImplementedError

    async def _log_in(self, username: Optional[str], password: Optional[str]) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        """Drop the connection at once."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Drop the connection."""
        self.abort()
