"""Why a connection could not be made, in our own words: redis-py's may hold a password."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Dict, Optional, Type

import redis.exceptions as redis_errors

from .. import exceptions as exc
from .credentials import CredentialsError, NeedsLoop
from .handshake import NotReady, Permanent
from .open_stream import AddressesFailed, Opening, Step
from .protocol import TRANSIENT, LinkLost, ReplyError, without_arguments
from .tls import TlsOptionError

__all__ = ["connect_refusal", "login_refusal", "reply_error"]

# redis-py removes the code from the text of errors for which it has a class.
_CODES: Dict[Type[BaseException], str] = {
    redis_errors.AuthenticationError: "",  # NOAUTH, WRONGPASS or ERR: it does not tell which
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
_LOGIN_REFUSED = (redis_errors.AuthenticationError, redis_errors.AuthorizationError,
                  redis_errors.NoPermissionError,
                  redis_errors.AuthenticationWrongNumberOfArgsError)  # fmt: skip
_TIMEOUTS = (TimeoutError, asyncio.TimeoutError, socket.timeout, redis_errors.TimeoutError)
# How a connection ends that the server closes while TLS is agreed upon.
_CUTS = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG",
            "RECORD_LAYER_FAILURE")  # fmt: skip

_NO_TLS_PORT = "is it a port without TLS (write redis:// for that)"
_MOST_CLIENTS = "at its maximum number of clients?"
#: What may be wrong with a connection that ended before the server said anything, by scheme.
_GUESSES = {
    "redis": f"is it a TLS port (write rediss:// for that), in protected mode, or {_MOST_CLIENTS}",
    "rediss": f"{_NO_TLS_PORT}, or {_MOST_CLIENTS}",
    "unix": "",
}


def connect_refusal(opening: Opening, error: Exception) -> exc.ConnectionError:
    """Say why a connection could not be made; what passes, or another may do, is the cause."""
    where = opening.where
    if isinstance(error, exc.ConnectionError):
        return error
    if isinstance(error, Permanent):
        return exc.ConnectionError(f"{where} {error}", permanent=True)
    passing = _not_ready(error)
    if passing is not None:
        return _because(f"{where} {passing}", passing)
    if isinstance(error, NeedsLoop):
        return _because("the credential_provider needs an event loop", error)
    if isinstance(error, _LOGIN_REFUSED):
        return login_refusal(opening, reply_error(error))
    denied = opening.heard.startswith(b"-DENIED")
    if isinstance(error, redis_errors.ResponseError) and not denied:
        return exc.ConnectionError(f"{where} refuses: {reply_error(error)}", permanent=True)
    if isinstance(error, CredentialsError):
        return exc.ConnectionError(f"can't log in to {where}: {error}")
    if opening.step is Step.TLS and isinstance(opening.error, _CUTS):
        reason = _closed_early(opening)
    elif isinstance(opening.error, OSError) and not isinstance(opening.error, TimeoutError):
        reason = _cause(opening.error)
    elif isinstance(error, _TIMEOUTS):
        return exc.ConnectionError(_silence(opening))
    else:
        reason = _heard(opening) or _broken(opening, error)
    return exc.ConnectionError(f"can't reach {where}: {reason}")


def login_refusal(opening: Opening, reply: ReplyError) -> exc.AuthenticationError:
    """Say that the server wants a login, or refuses the one that it was given.

    Servers differ in which command of the handshake they refuse first, and in what they say.
    """
    where, endpoint = opening.where, opening.endpoint
    if opening.has_provider:
        # What it gives next may be accepted.
        return exc.AuthenticationError(
            f"{where} refuses what credential_provider gave: {reply}", permanent=False
        )
    text = f"refuses the user name or password: {reply}"
    if endpoint.password is None and reply.code in ("", "NOAUTH"):
        host = "/path" if endpoint.scheme == "unix" else "host"
        text = (
            "needs a password, but got none: put it into the URL, as in "
            f"{endpoint.scheme}://:password@{host}, or {endpoint.scheme}://user:password@{host} "
            "for an ACL user"
        )
    return exc.AuthenticationError(f"{where} {text}", permanent=True)


def _silence(opening: Opening) -> str:
    """Say who did not answer in time."""
    where, limit, step = opening.where, f"{opening.limit:g} s", opening.step
    if step is Step.CREDENTIALS:
        return f"can't log in to {where}: credential_provider took more than {limit}"
    if step is Step.RESOLVE:
        return f"the host name of {where} was not resolved within {limit}"
    hint = f": {_NO_TLS_PORT}?" if step is Step.TLS else ""
    return f"{where} did not answer within {limit}{hint}"


def _heard(opening: Opening) -> Optional[str]:
    """Say what a server meant that ended the connection; None where it said nothing of use."""
    heard, scheme = opening.heard, opening.endpoint.scheme
    if not heard.strip(b"\0") or heard[:1] in b"+:$*%~#_,(>=|!":
        return None
    if not heard.startswith(b"-"):
        hint = "; for TLS write rediss://" if scheme == "redis" else ""
        return f"what answers there does not speak Redis{hint}"
    reply = ReplyError.parse(heard[1:].partition(b"\r")[0].decode("utf-8", "replace"))
    if "max number of clients" in reply.text:
        return "the server has reached its maximum number of clients"
    if reply.code == "DENIED":
        return (
            "DENIED: it is in protected mode, and accepts only local connections: give it a "
            "password, or set protected-mode no"
        )
    return f"it refuses: {without_arguments(str(reply))}"


def _broken(opening: Opening, error: Exception) -> str:
    """Say why the handshake ended."""
    inner = opening.error or error.__cause__ or error.__context__
    if isinstance(error, redis_errors.ConnectionError) and isinstance(inner, Exception):
        error = inner
    lost = isinstance(error, (LinkLost, ConnectionError, redis_errors.ConnectionError))
    if isinstance(error, redis_errors.InvalidResponse):
        return "what answers there does not speak Redis"
    if opening.step is Step.TALK and not opening.heard and lost:
        return _closed_early(opening)
    if "Connection closed by server" in str(error):
        return "the connection was closed by the server"
    return _cause(error)


def _closed_early(opening: Opening) -> str:
    guess = _GUESSES[opening.endpoint.scheme]
    reason = "the connection was closed by the server during the handshake"
    return f"{reason}: {guess}" if guess else reason


def reply_error(error: BaseException) -> ReplyError:
    """Translate an error that redis-py made of a reply."""
    code = _CODES.get(type(error))
    if code is None:
        return ReplyError.parse(str(error))
    return ReplyError(code, without_arguments(str(error)))


def _not_ready(error: Exception) -> Optional[NotReady]:
    """Return the error of a server that is not ready, whether redis-py or we got its reply."""
    if isinstance(error, NotReady):
        return error
    if isinstance(error, (redis_errors.ResponseError, redis_errors.ConnectionError)):
        reply = reply_error(error)
        if reply.code in TRANSIENT:
            return NotReady(reply)
    return None


def _because(text: str, cause: Exception) -> exc.ConnectionError:
    refusal = exc.ConnectionError(text)
    refusal.__cause__ = cause
    return refusal


def _cause(error: BaseException) -> str:
    """Name the cause of a failure; the text of the error itself may hold a secret."""
    if isinstance(error, (LinkLost, TlsOptionError)):
        return str(error)
    if isinstance(error, AddressesFailed):
        return "; ".join(dict.fromkeys(map(_cause, error.errors)))
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return "the host name can't be resolved"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}".rstrip(". ")
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if reason in _NOT_TLS:
            return "what answers there does not speak TLS; without TLS write redis://"
        shown = reason.lower().replace("_", " ") or type(error).__name__
        return f"the TLS handshake failed: {shown}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__
