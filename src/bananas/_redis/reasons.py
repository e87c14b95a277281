"""Says in words of our own why a connection could not be made."""

from __future__ import annotations

import socket
import ssl
from typing import Optional

from .addresses import AddressesFailed
from .opening import Step
from .protocol import LinkLost, ReplyError, without_arguments
from .tls import TlsOptionError

__all__ = ["cause", "closed_early", "last_words", "silence"]

_PLAIN_OR_TLS = {
    "redis": "what answers there does not speak Redis; for TLS write rediss://",
    "rediss": "what answers there does not speak Redis",
    "unix": "what answers there does not speak Redis",
}

_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG",
            "RECORD_LAYER_FAILURE")  # fmt: skip


def cause(error: BaseException) -> str:
    """Name the cause of a failure; the text of the error itself may hold a secret."""
    if isinstance(error, (LinkLost, TlsOptionError)):
        return str(error)
    if isinstance(error, AddressesFailed):
        return "; ".join(dict.fromkeys(map(cause, error.errors)))
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return "the host name can't be resolved"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}".rstrip(". ")
    if isinstance(error, ssl.SSLError):
        return _tls_cause(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


def last_words(heard: bytes, scheme: str) -> Optional[str]:
    """Say what a server meant that ended the connection; None where it said nothing to the point.

    Args:
        heard: The first bytes that it sent.
        scheme: How it was spoken to.
    """
    if not heard:
        return None
    first = heard[:1]
    if first == b"-":
        reply = ReplyError.parse(heard[1:].partition(b"\r")[0].decode("utf-8", "replace"))
        if "max number of clients" in reply.text:
            return "the server has reached its maximum number of clients"
        if reply.code == "DENIED":
            return (
                "DENIED: it is in protected mode, and takes connections from its own host only, "
                "until it has a password or protected-mode is off"
            )
        return f"it refuses: {without_arguments(str(reply))}"
    if first in b"+:$*%~#_,(>=|!" or (first == b"\0" and not heard.strip(b"\0")):
        return None
    return _PLAIN_OR_TLS[scheme]


def silence(step: Step, where: str, limit: float) -> str:
    """Say who did not answer in time.

    Args:
        step: What was being done.
        where: What was to answer, with its address.
        limit: The time, in seconds.
    """
    if step is Step.RESOLVE:
        return f"the host name of {where} was not resolved within {limit:g} s"
    text = f"{where} did not answer within {limit:g} s"
    if step is Step.TLS:
        text += ": is it a port without TLS (write redis:// for that)?"
    return text


def closed_early(scheme: str) -> str:
    """Say what may be wrong with a connection that ended before the server said anything."""
    reason = "the connection was closed by the server during the handshake"
    if scheme == "rediss":
        return (
            f"{reason}: is it a port without TLS (write redis:// for that), or at its maximum "
            "number of clients?"
        )
    if scheme == "redis":
        return (
            f"{reason}: is it a TLS port (write rediss:// for that), in protected mode, or at its "
            "maximum number of clients?"
        )
    return reason


def _tls_cause(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if reason in _NOT_TLS:
        return "what answers there does not speak TLS; without TLS write redis://"
    shown = reason.lower().replace("_", " ") or type(error).__name__
    return f"the TLS handshake failed: {shown}"
