"""One attempt to connect, and what its failure means in our own words."""

from __future__ import annotations

import asyncio
import ssl

import redis.exceptions as redis_errors

from .. import exceptions as exc
from .credentials import CredentialsError
from .errors import not_ready, reply_error
from .introduction import Permanent
from .opening import AnyOpening, Step
from .protocol import LinkLost, ReplyError
from .reasons import cause, closed_early, last_words, silence
from .url import Endpoint

__all__ = ["Attempt"]

# How a connection ends that the server closes while TLS is agreed upon.
_CUTS = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
_REFUSALS = (redis_errors.AuthenticationError, redis_errors.AuthorizationError,
             redis_errors.NoPermissionError,
             redis_errors.AuthenticationWrongNumberOfArgsError)  # fmt: skip


class Attempt:
    """One attempt to connect: what is known of it, and what its failure means in our own words.

    Attributes:
        endpoint: Where to connect to, and as whom.
        where: The same for messages.
        opening: What is known of the stream.
        limit: How long it may take, in seconds.
        asks_provider: Whether a credential provider gives user name and password.
        awaits_provider: Whether it has not given them yet.
    """

    def __init__(
        self, endpoint: Endpoint, what: str, opening: AnyOpening, limit: float, *, asks: bool
    ) -> None:
        self.endpoint = endpoint
        self.where = f"{what} at {endpoint}"
        self.opening = opening
        self.limit = limit
        self.asks_provider = asks
        self.awaits_provider = False

    @property
    def patience(self) -> float:
        """How long to try: callers give up after the whole of the time, and are to be told why."""
        return self.limit - min(0.1 * self.limit, 0.25)

    def refusal(self, error: Exception) -> exc.ConnectionError:
        """Say why a connection could not be made; redis-py's own words may hold a password."""
        where, opening = self.where, self.opening
        if isinstance(error, exc.ConnectionError):
            return error
        if isinstance(error, Permanent):
            return exc.ConnectionError(f"{where} {error}", permanent=True)
        passing = not_ready(error)
        if passing is not None:
            refusal = exc.ConnectionError(f"{where} {passing}")
            refusal.__cause__ = passing
            return refusal
        if isinstance(error, _REFUSALS):
            return self.login_refusal(reply_error(error))
        denied = opening.heard.startswith(b"-DENIED")
        if isinstance(error, redis_errors.ResponseError) and not denied:
            return exc.ConnectionError(f"{where} refuses: {reply_error(error)}", permanent=True)
        if isinstance(error, CredentialsError):
            return exc.ConnectionError(f"can't log in to {where}: {error}")
        if opening.step is Step.TLS and isinstance(opening.error, _CUTS):
            return exc.ConnectionError(f"can't reach {where}: {closed_early(self.endpoint.scheme)}")
        if isinstance(opening.error, OSError) and not isinstance(opening.error, TimeoutError):
            return exc.ConnectionError(f"can't reach {where}: {cause(opening.error)}")
        if isinstance(error, (TimeoutError, asyncio.TimeoutError, redis_errors.TimeoutError)):
            return exc.ConnectionError(self._silence())
        reason = last_words(opening.heard, self.endpoint.scheme)
        return exc.ConnectionError(f"can't reach {where}: {reason or self._cause(error)}")

    def _silence(self) -> str:
        """Say who did not answer in time."""
        limit = self.limit
        if self.awaits_provider:
            return f"can't log in to {self.where}: credential_provider took more than {limit:g} s"
        return silence(self.opening.step, self.where, limit)

    def _cause(self, error: Exception) -> str:
        """Say why the handshake ended."""
        inner = self.opening.error or error.__cause__ or error.__context__
        if isinstance(error, redis_errors.ConnectionError) and isinstance(inner, Exception):
            error = inner
        lost = isinstance(error, (LinkLost, ConnectionError, redis_errors.ConnectionError))
        if isinstance(error, redis_errors.InvalidResponse):
            return "it answers, but not as Redis does"
        if self.opening.step is Step.TALK and not self.opening.heard and lost:
            return closed_early(self.endpoint.scheme)
        if "Connection closed by server" in str(error):
            return "the connection was closed by the server"
        if lost and "max number of clients" in str(error):
            return "the server has reached its maximum number of clients"
        return cause(error)

    def login_refusal(self, reply: ReplyError) -> exc.AuthenticationError:
        """Say that the server wants a login, or refuses the one that it was given.

        Servers differ in which command of the handshake they refuse first, and in what they say.
        """
        endpoint = self.endpoint
        where = self.where
        if self.asks_provider:
            # What it gives next may be accepted.
            return exc.AuthenticationError(
                f"{where} refuses what credential_provider gave: {reply}", permanent=False
            )
        if endpoint.password is None and reply.code in ("", "NOAUTH"):
            host = "/path" if endpoint.scheme == "unix" else "host"
            return exc.AuthenticationError(
                f"{where} wants a password, and was given none: put it into the URL, as in "
                f"{endpoint.scheme}://:password@{host}, or with the name of an ACL user as in "
                f"{endpoint.scheme}://user:password@{host}",
                permanent=True,
            )
        return exc.AuthenticationError(
            f"{where} refuses the user name or password: {reply}", permanent=True
        )
