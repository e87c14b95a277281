"""All that is said to redis-py: settings and URL, connections, replies, errors."""

from .addresses import HEAD_START, Address, AddressesFailed, prepare, resolve_here
from .attempt import Attempt
from .connector import connect, open_link
from .credentials import CredentialProvider, NeedsLoop, ask_here
from .errors import reply_error
from .introduction import NotReady, introduce
from .link import Link
from .login import log_in
from .opening import HEARD_LIMIT, Step, tls_context
from .outage import Outage
from .packing import pack
from .private import without_complaint
from .protocol import TRANSIENT, Argument, Command, LinkLost, Reply, ReplyError, new_reader
from .settings import DEFAULT_REDIS_URL, Settings, sentinel_endpoints
from .url import Endpoint

__all__ = [
    "DEFAULT_REDIS_URL",
    "HEAD_START",
    "HEARD_LIMIT",
    "TRANSIENT",
    "Address",
    "AddressesFailed",
    "Argument",
    "Attempt",
    "Command",
    "CredentialProvider",
    "Endpoint",
    "Link",
    "LinkLost",
    "NeedsLoop",
    "NotReady",
    "Outage",
    "Reply",
    "ReplyError",
    "Settings",
    "Step",
    "ask_here",
    "connect",
    "introduce",
    "log_in",
    "new_reader",
    "open_link",
    "pack",
    "prepare",
    "reply_error",
    "resolve_here",
    "sentinel_endpoints",
    "tls_context",
    "without_complaint",
]
