"""Every error of redis-py becomes one of ours, or a value."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import redis.exceptions as redis_errors

from bananas import exceptions as exc
from bananas._redis import connect_errors
from bananas._redis.async_connection import Link
from bananas._redis.connect_errors import connect_refusal, reply_error
from bananas._redis.open_stream import Step
from bananas._redis.protocol import ReplyError
from bananas._redis.url import parse_url
from tests.support import RedisServer

#: Replies that redis-py has a class for; the first word is what Redis says.
MAPPED = {error.__name__ for error in connect_errors._CODES}
#: Made by redis-py of a broken connection, or above its connections: they end the link, or never
#: reach us, since only its connections are used.
NO_REPLIES = {
    "AuthorizationError", "ChildDeadlockedError", "ConnectionError", "CrossSlotTransactionError",
    "DataError", "ExternalAuthProviderError", "IncorrectPolicyType", "InvalidPipelineStack",
    "InvalidResponse", "LockError", "LockNotOwnedError", "MaxConnectionsError", "PubSubError",
    "RedisClusterException", "SlotNotCoveredError", "TimeoutError", "WatchError",
}  # fmt: skip
#: What stands above others, and what is read by its first word.
GENERAL = {"ClusterError", "NoSuchFieldsetError", "RedisError", "ResponseError"}


def test_every_class_is_known() -> None:
    """An exception class that redis-py grows is looked at, and put into one of the lists."""
    found = {
        name
        for name, value in vars(redis_errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    assert found - MAPPED - NO_REPLIES - GENERAL == set()
    assert found >= MAPPED


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("READONLY You can't write against a read only replica.", "READONLY"),
        ("LOADING Redis is loading the dataset in memory", "LOADING"),
        ("MASTERDOWN Link with MASTER is down", "MASTERDOWN"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN"),
        ("CLUSTERDOWN The cluster is down", "CLUSTERDOWN"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "CROSSSLOT"),
        ("MOVED 1 127.0.0.1:7000", "MOVED"),
        ("ASK 1 127.0.0.1:7000", "ASK"),
        ("NOPERM this user has no permissions", "NOPERM"),
        ("NOAUTH Authentication required.", "NOAUTH"),
        ("NOSCRIPT No matching script.", "NOSCRIPT"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
        ("EXECABORT Transaction discarded because of previous errors.", "EXECABORT"),
        ("BUSY Redis is busy running a script.", "BUSY"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE"),
        ("MISCONF Redis is configured to save RDB snapshots", "MISCONF"),
        ("NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"),
        ("ERR something or other", "ERR"),
    ],
)
async def test_error_replies_become_values(redis_server: RedisServer, text: str, code: str) -> None:
    """An error that Redis replies is returned with its code, and the connection goes on."""
    link = Link(parse_url(redis_server.url()), 5)
    await link.connect()
    try:
        script = "return redis.error_reply(ARGV[1])"
        link.send([("EVAL", script, 0, text), ("ECHO", "next")])
        reply, echo = await link.read_replies(2)
        assert (type(reply), reply.code) == (ReplyError, code)
        assert text.endswith(reply.text)
        assert echo == b"next"
    finally:
        await link.aclose()


async def test_errors_inside_a_reply(redis_server: RedisServer) -> None:
    """Errors inside the reply to a transaction become values too."""
    link = Link(parse_url(redis_server.url()), 5)
    await link.connect()
    try:
        commands: Any = [("MULTI",), ("SET", "a-string", "1"), ("LPUSH", "a-string", "1"),
                         ("DEL", "a-string"), ("EXEC",)]  # fmt: skip
        link.send(commands)
        replies = await link.read_replies(len(commands))
        done, refused, deleted = replies[-1]
        assert (done, refused.code, deleted) == (b"OK", "WRONGTYPE", 1)
        assert repr(refused).startswith("ReplyError('WRONGTYPE', ")
        assert str(refused).startswith("WRONGTYPE Operation against")
    finally:
        await link.aclose()


@pytest.mark.parametrize("text", ["DB index is out of range", "A word", "Protocol error", "BUSY"])
def test_sentence_without_a_code(text: str) -> None:
    """A reply of which redis-py took ``ERR`` off is a plain error, whatever its first word is."""
    error = reply_error(redis_errors.ResponseError(text))
    assert (error.code, error.text) == ("ERR", text)


async def test_database_that_is_not_there(redis_server: RedisServer) -> None:
    """A database number that the server does not have is refused in its own words."""
    link = Link(parse_url(f"redis://127.0.0.1:{redis_server.port}/9999"), 5)
    with pytest.raises(exc.ConnectionError, match=": ERR DB index is out of range$") as caught:
        await link.connect()
    assert caught.value.permanent


def test_no_argument_of_a_command_is_repeated() -> None:
    """Redis repeats the arguments of a command that it does not know; we don't."""
    text = "unknown command 'FOO', with args beginning with: 'a secret'"
    assert str(reply_error(redis_errors.ResponseError(text))) == "ERR unknown command 'FOO'"


@pytest.mark.parametrize(
    ("error", "kind", "permanent", "words"),
    [
        (redis_errors.AuthenticationError("invalid password"), exc.AuthenticationError, True,
         "refuses the user name or password: invalid password"),
        (redis_errors.AuthenticationWrongNumberOfArgsError("wrong number"),
         exc.AuthenticationError, True, "refuses the user name or password: ERR wrong number"),
        (redis_errors.NoPermissionError("no right"), exc.AuthenticationError, True,
         "refuses the user name or password: NOPERM no right"),
        (redis_errors.ResponseError("DB index is out of range"), exc.ConnectionError, True,
         "refuses: ERR DB index is out of range"),
        (redis_errors.BusyLoadingError("loading"), exc.ConnectionError, False,
         "is not ready: LOADING loading"),
        (redis_errors.ResponseError("BUSY Redis is busy"), exc.ConnectionError, False,
         "is not ready: BUSY Redis is busy"),
        (redis_errors.MasterDownError("no link"), exc.ConnectionError, False,
         "is not ready: MASTERDOWN no link"),
        (redis_errors.TimeoutError("a secret"), exc.ConnectionError, False,
         "did not answer within 5 s"),
        (redis_errors.ConnectionError("Connection closed by server."), exc.ConnectionError, False,
         "the connection was closed by the server"),
        (redis_errors.ConnectionError("a secret"), exc.ConnectionError, False, "ConnectionError"),
        (redis_errors.InvalidResponse("a secret"), exc.ConnectionError, False,
         "what answers there does not speak Redis"),
        (AttributeError("a secret"), exc.ConnectionError, False, "AttributeError"),
        (OSError(113, "No route to host"), exc.ConnectionError, False, "no route to host"),
        (ConnectionRefusedError(111, "a secret"), exc.ConnectionError, False, "connection refused"),
    ],
)  # fmt: skip
def test_failures_to_connect(error: Exception, kind: Any, permanent: bool, words: str) -> None:
    """Why a connection could not be made is said in words of ours."""
    link = Link(parse_url("redis://:a-password@example.org"), 5)
    refusal = connect_refusal(link._opening, error)
    assert (type(refusal), refusal.permanent) == (kind, permanent)
    assert "redis://example.org:6379/0" in str(refusal)
    assert str(refusal).endswith(words)
    assert "secret" not in str(refusal)


def test_name_that_is_not_resolved_in_time() -> None:
    """What took the time was no server."""
    link = Link(parse_url("redis://example.org"), 5)
    link._opening.step = Step.RESOLVE
    assert str(connect_refusal(link._opening, TimeoutError())) == (
        "the host name of Redis at redis://example.org:6379/0 was not resolved within 5 s"
    )


async def test_nobody_listens() -> None:
    """A port on which nobody listens is a connection that is refused."""
    from tests.support.ports import free_port

    link = Link(parse_url(f"redis://127.0.0.1:{free_port()}"), 5)
    with pytest.raises(exc.ConnectionError, match="^can't reach Redis at .*: connection refused$"):
        await link.connect()


async def test_name_that_does_not_resolve() -> None:
    """A host name that nobody knows is said to be one."""
    link = Link(parse_url("redis://no-such-host.invalid"), 30)
    with pytest.raises(exc.ConnectionError, match=": the host name can't be resolved$"):
        await link.connect()
