"""A TCP proxy in front of a Redis server that breaks connections exactly where a test says."""

from __future__ import annotations

import asyncio
import threading
from asyncio.base_events import Server
from collections import Counter
from types import TracebackType
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Type

from .faults import Action, Match, Rule, any_command
from .inbox import Inbox
from .link import Link
from .loop_thread import LoopThread
from .ports import HOST, free_port, redis_url
from .server_process import ServerProcess
from .watch import WAIT_S, Watch

__all__ = ["FaultProxy"]

_BINDS = 20


class FaultProxy:
    """Listens on a free loopback port, on a thread and an event loop of its own.

    Every method may be called from any thread, and from a coroutine: none waits for longer than
    the proxy's loop needs to act. Once a method has returned it is in force: what the client
    sends from then on meets it. While the server is down, clients are accepted and closed again.

    Args:
        server: What to stand in front of; it may be restarted. Plain TCP only.
    """

    def __init__(self, server: ServerProcess) -> None:
        self.port = free_port()
        self.upstream = server.port
        self.muted = False
        self.drip_s: Optional[float] = None
        self._server = server
        self._silent = False
        self._rules: List[Rule] = []
        self._stream_rules: List[Tuple[int, Rule]] = []
        self._links: Dict[Link, asyncio.Task[None]] = {}
        self._failures: List[Exception] = []
        self._commands: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._watch = Watch()
        self._opened = 0
        self._open = 0
        self._sent = 0
        self._thread = LoopThread("fault-proxy")
        self._listener: Optional[Server] = None

    # Life.

    def start(self) -> FaultProxy:
        """Listen."""
        self._thread.start()
        try:
            self._thread.run(self._listen_first)
        except BaseException:
            self._thread.stop()
            raise
        return self

    def stop(self) -> None:
        """Close every connection and end the thread.

        Raises:
            Exception: Whatever a rule's match or action raised meanwhile.
        """
        if self._thread.alive:
            self._thread.run(self._close)
            self._thread.stop()
        if self._failures:
            raise self._failures[0]

    def url(
        self, db: int = 0, username: Optional[str] = None, password: Optional[str] = None
    ) -> str:
        """Return the URL to reach the server by, through the proxy."""
        return redis_url(
            self.port, db, username, self._server.password if password is None else password
        )

    # What was seen.

    @property
    def connections_opened(self) -> int:
        """How many clients have connected since the start."""
        return self._opened

    @property
    def connections_open(self) -> int:
        """How many of them are still connected."""
        return self._open

    @property
    def bytes_forwarded(self) -> int:
        """How many bytes have gone to the server since the start."""
        return self._sent

    @property
    def commands(self) -> Counter[str]:
        """How many commands came, by name in upper case, lost and held ones included."""
        with self._lock:
            return Counter(self._commands)

    def wait(
        self, condition: Callable[[], bool], timeout: float = WAIT_S, what: str = "the proxy"
    ) -> None:
        """Block until a condition on the numbers above holds.

        It looks again only when one of them changes, so not at what the server then does.

        Raises:
            TimeoutError: It did not within `timeout` seconds.
        """
        self._watch.wait(condition, timeout, what)

    async def wait_async(
        self,
        condition: Callable[[], bool],
        timeout: Optional[float] = WAIT_S,
        what: str = "the proxy",
    ) -> None:
        """Wait like `wait` without blocking the running loop; None is no limit."""
        await self._watch.wait_async(condition, timeout, what)

    # Rules.

    def on(self, match: Match, action: Action, times: Optional[int] = 1, skip: int = 0) -> Rule:
        """Arm a fault; of the rules that match a command, the first one armed gets it.

        Args:
            match: Which commands, given as the list of their words.
            action: What happens to them.
            times: How many commands it happens to; None is all.
            skip: How many matching commands pass unharmed first.
        """
        rule = Rule(match, action, times, skip)
        return self._thread.call(lambda: self._arm(rule))

    def cut_stream(self, after: int, times: Optional[int] = 1) -> Rule:
        """Close a connection once exactly `after` more bytes of it have gone to the server.

        Counted on each connection, open or new, by itself; 0 closes at its next byte. Bytes of a
        command count once the whole command has come, or the client has closed.

        Args:
            after: How many bytes still pass.
            times: How many connections it happens to; None is all.
        """
        rule = Rule(any_command(), Action(), times, 0)
        return self._thread.call(lambda: self._arm_stream(after, rule))

    def clear(self) -> None:
        """Disarm every rule."""
        self._thread.call(self._disarm)

    # Faults for the whole proxy; `seen` picks the connections that have sent that command.

    def refuse(self) -> None:
        """Stop listening: new connections are refused, open ones go on."""
        self._thread.run(self._close_listener)

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._thread.run(self._listen)

    def mute(self) -> None:
        """Accept new connections, and never say anything on them; open ones go on."""
        self._thread.call(lambda: setattr(self, "muted", True))

    def go_silent(self, seen: Optional[bytes] = None) -> None:
        """Let no byte pass either way on the connections, open or new, and keep them open.

        With `seen`, new connections are not silent. The server is not told of a client that
        leaves meanwhile.
        """
        self._thread.call(lambda: self._silence(seen))

    def resume(self) -> None:
        """End `mute` and `go_silent`: what was held up goes on; muted connections stay mute."""
        self._thread.call(self._resume)

    def drip(self, delay_s: Optional[float]) -> None:
        """Send replies byte by byte, with this pause after each; None ends it."""
        self._thread.call(lambda: setattr(self, "drip_s", delay_s))

    def cut_all(self, reset: bool = False, seen: Optional[bytes] = None) -> None:
        """Close the open connections, on the client's side with a reset if asked for."""
        self._thread.call(lambda: self._each(seen, lambda link: link.cut(reset=reset)))

    def inject(self, data: bytes, seen: Optional[bytes] = None) -> None:
        """Send bytes that nobody asked for to the clients, now."""
        self._thread.call(lambda: self._each(seen, lambda link: link.client.write(data)))

    # Below: on the proxy's own thread.

    def rule_for(self, words: Sequence[bytes]) -> Optional[Rule]:
        """Note a command and return the rule that claims it."""
        with self._lock:
            self._commands[words[0].upper().decode("latin-1")] += 1
        self._watch.changed()
        return next((rule for rule in self._rules if rule.claims(words)), None)

    def forwarded(self, count: int) -> None:
        """Note bytes that go to the server."""
        self._sent += count
        self._watch.changed()

    def failed(self, error: Exception) -> None:
        """Note what went wrong in a rule, or in a link; `stop` raises it."""
        self._failures.append(error)

    async def _close(self) -> None:
        await self._close_listener()
        for link in list(self._links):  # a task that has not begun would not close it
            await link.client.connected.wait()
        tasks = list(self._links.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen_first(self) -> None:
        for _ in range(_BINDS):
            try:
                await self._listen()
                return
            except OSError:
                self.port = free_port()
        raise RuntimeError("found no free port to listen on")

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.get_running_loop().create_server(
                self._accepted, HOST, self.port
            )

    async def _close_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        for sock in listener.sockets:
            asyncio.get_running_loop().remove_reader(sock.fileno())
        # Closed while a connection is being handed to it, it would lose that connection.
        await asyncio.sleep(0)
        listener.close()

    def _accepted(self) -> Inbox:
        inbox = Inbox(self._left)
        link = Link(self, inbox, silent=self._silent)
        for after, rule in self._stream_rules:
            link.cut_after(after, rule, taken=False)
        self._opened += 1
        self._open += 1
        self._watch.changed()
        task = self._links[link] = asyncio.ensure_future(link.run())
        task.add_done_callback(lambda done: self._links.pop(link))
        return inbox

    def _left(self) -> None:
        self._open -= 1
        self._watch.changed()

    def _arm(self, rule: Rule) -> Rule:
        self._rules.append(rule)
        return rule

    def _arm_stream(self, after: int, rule: Rule) -> Rule:
        self._stream_rules.append((after, rule))
        for link in self._links:
            link.cut_after(after, rule, taken=False)
        return rule

    def _disarm(self) -> None:
        for rule in self._rules + [rule for _, rule in self._stream_rules]:
            rule.disarm()
        self._rules.clear()
        self._stream_rules.clear()

    def _silence(self, seen: Optional[bytes]) -> None:
        self._silent = self._silent or seen is None
        self._each(seen, Link.silence)

    def _resume(self) -> None:
        self.muted = self._silent = False
        self._each(None, Link.resume)

    def _each(self, seen: Optional[bytes], act: Callable[[Link], None]) -> None:
        for link in self._links:
            if seen is None or seen.upper() in link.seen:
                act(link)

    def __enter__(self) -> FaultProxy:
        return self.start()

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        tb: Optional[TracebackType],
    ) -> None:
        self.stop()
