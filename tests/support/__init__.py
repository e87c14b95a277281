"""Real servers, and a proxy with faults on order, for the tests of the whole project."""

from .child import Child
from .faults import (
    Action,
    Cut,
    CutAfterBytes,
    CutReply,
    GoSilent,
    Hold,
    HoldReply,
    Inject,
    LoseReply,
    LoseReplySilently,
    Reset,
    Rule,
    any_command,
    at_random,
    command,
    containing,
)
from .proxy import FaultProxy
from .raw_client import RawClient, RespError
from .redis_binary import find_redis_server, tls_available
from .redis_server import RedisServer
from .sentinel_server import SentinelServer
from .server_process import wait_until
from .watch import Signal

__all__ = [
    "Action",
    "Child",
    "Cut",
    "CutAfterBytes",
    "CutReply",
    "FaultProxy",
    "GoSilent",
    "Hold",
    "HoldReply",
    "Inject",
    "LoseReply",
    "LoseReplySilently",
    "RawClient",
    "RedisServer",
    "Reset",
    "RespError",
    "Rule",
    "SentinelServer",
    "Signal",
    "any_command",
    "at_random",
    "command",
    "containing",
    "find_redis_server",
    "tls_available",
    "wait_until",
]
