"""A model of the server: the commands of the pipeline, its connections, and what can go wrong."""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Dict, List, Optional, Sequence, Set, Tuple

from bananas._pipeline.recovery import LinkFacts
from bananas._redis.protocol import Command, ReplyError

WRONGTYPE = ReplyError("WRONGTYPE", "the wrong kind of value")
EXECABORT = ReplyError("EXECABORT", "previous errors")
Commands = Sequence[Command]

# Which commands a refusal concerns; any other concerns all but ECHO and CLIENT.
_REFUSED = {
    "OOM": {b"MSET", b"LPUSH", b"ZADD"},
    "READONLY": {b"MSET", b"LPUSH", b"ZADD", b"DEL", b"LREM", b"ZREM"},
}


class Connection:
    """What the server knows of one connection.

    Attributes:
        facts: What the client has learned when it was made.
        inbox: Commands that are on their way, or held back.
        is_open: Whether the server still reads from it.
    """

    def __init__(self, facts: LinkFacts) -> None:
        self.facts = facts
        self.inbox: Deque[Commands] = deque()
        self.is_open = True
        self.queue: Optional[List[Command]] = None
        self.is_dirty = False
        self.watched: Dict[bytes, Optional[bytes]] = {}


class Server:
    """Documents, lists and scheduled jobs; runs what arrives on its connections in any order.

    Attributes:
        documents: By key.
        queues: Ids by list or set, one for each time it was put there.
        refusal: What commands are answered with, if they are refused now.
        wrong: Lists and sets that hold the wrong kind of value.
        denied: Documents that nobody has a right to.
        has_no_exec: Whether nobody has a right to EXEC.
    """

    def __init__(self) -> None:
        self.run_id = "run-1"
        self.role: Optional[str] = "master"
        self.documents: Dict[bytes, bytes] = {}
        self.queues: Dict[bytes, List[str]] = {}
        self.refusal: Optional[ReplyError] = None
        self.wrong: Set[bytes] = set()
        self.denied: Set[bytes] = set()
        self.has_no_exec = False
        self.connections: Dict[int, Connection] = {}
        self._last_id = 0

    def connect(self, role: Optional[str] = None) -> Connection:
        """Make a connection."""
        self._last_id += 1
        facts = LinkFacts(self._last_id, self.run_id, role or self.role)
        connection = self.connections[self._last_id] = Connection(facts)
        return connection

    def restart(self) -> None:
        """End the process, and with it all that is on its way; the data stay."""
        for connection in self.connections.values():
            connection.is_open = False
        self.connections.clear()
        self.run_id = f"run-{int(self.run_id[4:]) + 1}"
        self._last_id = 0

    def count(self, member: str) -> int:
        """Return how often an id is queued."""
        return sum(queue.count(member) for queue in self.queues.values())

    def run(self, connection: Connection) -> List[Any]:
        """Run what arrives next on a connection, and return the replies."""
        commands = connection.inbox.popleft()
        if not connection.is_open:
            return []
        return [self._reply(connection, command) for command in commands]

    def _reply(self, connection: Connection, command: Command) -> Any:
        verb = command[0]
        if verb == b"DISCARD":
            return self._discard(connection)
        if connection.queue is not None and verb != b"EXEC":
            return self._take(connection, command)
        if verb == b"MULTI":
            connection.queue, connection.is_dirty = [], False
            return b"OK"
        if verb == b"EXEC":
            if self.has_no_exec:
                connection.is_dirty = True
                return ReplyError("NOPERM", "no right to EXEC")
            return self._exec(connection)
        if verb == b"WATCH":
            for key in command[1:]:
                connection.watched[_bytes(key)] = self.documents.get(_bytes(key))
            return self._refused(command) or b"OK"
        if verb == b"UNWATCH":
            connection.watched.clear()
            return b"OK"
        return self._refused(command) or self._do(command)

    def _take(self, connection: Connection, command: Command) -> Any:
        error = self._refused(command)
        if error is not None:
            connection.is_dirty = True
            return error
        assert connection.queue is not None
        connection.queue.append(command)
        return b"QUEUED"

    @staticmethod
    def _discard(connection: Connection) -> Any:
        was_open, connection.queue = connection.queue is not None, None
        connection.watched = {}
        return b"OK" if was_open else ReplyError("ERR", "DISCARD without MULTI")

    def _exec(self, connection: Connection) -> Any:
        queue, connection.queue = connection.queue, None
        watched, connection.watched = connection.watched, {}
        assert queue is not None
        if connection.is_dirty:
            return EXECABORT
        if any(self.documents.get(key) != document for key, document in watched.items()):
            return None
        return [self._do(command) for command in queue]

    def _refused(self, command: Command) -> Optional[ReplyError]:
        verb, refusal = command[0], self.refusal
        concerns_all = refusal is not None and refusal.code not in _REFUSED
        if refusal is not None and (
            verb not in (b"ECHO", b"CLIENT") if concerns_all else verb in _REFUSED[refusal.code]
        ):
            return refusal
        denied = not self.denied.isdisjoint(command[1:])
        return ReplyError("NOPERM", "no right to the key") if denied else None

    def _do(self, command: Command) -> Any:
        verb, *arguments = command
        assert isinstance(verb, bytes)
        done: Any = getattr(self, "_do_" + verb.decode().lower())(*arguments)
        return done

    @staticmethod
    def _do_ping() -> bytes:
        return b"PONG"

    @staticmethod
    def _do_echo(text: bytes) -> bytes:
        return text

    def _do_client(self, _kill: bytes, _id: bytes, number: int) -> int:
        connection = self.connections.get(number)
        killed = connection is not None and connection.is_open
        if connection is not None:
            connection.is_open = False
        return int(killed)

    def _do_mset(self, *pairs: bytes) -> bytes:
        self.documents.update(zip(pairs[::2], pairs[1::2]))
        return b"OK"

    def _do_lpush(self, target: bytes, *members: str) -> Any:
        return self._push(target, members)

    def _do_zadd(self, target: bytes, *pairs: str) -> Any:
        return self._push(target, pairs[1::2])

    def _push(self, target: bytes, members: Tuple[str, ...]) -> Any:
        if target in self.wrong:
            return WRONGTYPE
        self.queues.setdefault(target, []).extend(members)
        return len(members)

    def _do_exists(self, key: bytes) -> int:
        return int(key in self.documents)

    def _do_get(self, key: bytes) -> Optional[bytes]:
        return self.documents.get(key)

    def _do_type(self, target: bytes) -> bytes:
        if target in self.wrong:
            return b"string"
        if not self.queues.get(target):
            return b"none"
        return b"zset" if target == b"due" else b"list"

    def _do_del(self, *keys: bytes) -> int:
        return sum(self.documents.pop(key, None) is not None for key in keys)

    def _do_lrem(self, target: bytes, _count: int, member: str) -> int:
        return self._remove(target, member)

    def _do_zrem(self, target: bytes, member: str) -> int:
        return self._remove(target, member)

    def _remove(self, target: bytes, member: str) -> int:
        queue = self.queues.get(target, [])
        if member not in queue:
            return 0
        queue.remove(member)
        return 1


def _bytes(value: Any) -> bytes:
    assert isinstance(value, bytes)
    return value
