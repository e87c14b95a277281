"""Translates the errors that redis-py makes of replies."""

from __future__ import annotations

from typing import Dict, Optional, Type

import redis.exceptions as redis_errors

from .introduction import NotReady
from .protocol import TRANSIENT, ReplyError, without_arguments

__all__ = ["not_ready", "reply_error"]

# redis-py takes the code off the text of the errors that it has a class for.
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


def reply_error(error: BaseException) -> ReplyError:
    """Translate an error that redis-py made of a reply."""
    code = _CODES.get(type(error))
    if code is None:
        return ReplyError.parse(str(error))
    return ReplyError(code, without_arguments(str(error)))


def not_ready(error: Exception) -> Optional[NotReady]:
    """Return what a refusal that passes comes to, whether redis-py or we got the reply."""
    if isinstance(error, NotReady):
        return error
    if isinstance(error, (redis_errors.ResponseError, redis_errors.ConnectionError)):
        reply = reply_error(error)
        if reply.code in TRANSIENT:
            return NotReady(reply)
    return None
