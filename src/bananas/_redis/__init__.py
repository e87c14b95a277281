"""All that is said to redis-py: settings and URL, connections, replies, errors."""

from .async_connection import Link
from .connect_errors import reply_error
from .connection import Connection
from .connection_log import ConnectionLog
from .credentials import CredentialProvider, NeedsLoop, ask_here
from .handshake import NotReady
from .login import log_in_here
from .open_stream import (
    ATTEMPT_DELAY,
    Address,
    AddressesFailed,
    Opening,
    Step,
    new_socket,
    resolve_here,
)
from .primary import connect
from .private_api import suppress_pending_warning
from .protocol import TRANSIENT, Argument, Command, LinkLost, Reply, ReplyError, new_reader, pack
from .settings import DEFAULT_REDIS_URL, Settings, sentinel_endpoints
from .url import Endpoint

__all__ = [
    "ATTEMPT_DELAY",
    "DEFAULT_REDIS_URL",
    "TRANSIENT",
    "Address",
    "AddressesFailed",
    "Argument",
    "Command",
    "Connection",
    "ConnectionLog",
    "CredentialProvider",
    "Endpoint",
    "Link",
    "LinkLost",
    "NeedsLoop",
    "NotReady",
    "Opening",
    "Reply",
    "ReplyError",
    "Settings",
    "Step",
    "ask_here",
    "connect",
    "log_in_here",
    "new_reader",
    "new_socket",
    "pack",
    "reply_error",
    "resolve_here",
    "sentinel_endpoints",
    "suppress_pending_warning",
]
