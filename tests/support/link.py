"""One client's connection through the proxy, and the faults that it meets."""

from __future__ import annotations

import asyncio
from typing import List, Optional, Protocol, Sequence, Set, Tuple

from .exchanges import Exchanges
from .faults import Rule, Side
from .framing import Framer, read_command
from .inbox import Inbox
from .ports import HOST
from .watch import Signal

__all__ = ["Link", "Policy"]

_READ_AHEAD = 1 << 18


class Policy(Protocol):
    """What a link asks the proxy that it belongs to."""

    upstream: int
    muted: bool
    drip_s: Optional[float]

    def rule_for(self, words: Sequence[bytes]) -> Optional[Rule]:
        """Note a command and return the rule that claims it."""

    def forwarded(self, count: int) -> None:
        """Note bytes that go to the server."""

    def failed(self, error: Exception) -> None:
        """Note what went wrong in a rule, or in the link itself."""


class Link:
    """Carries requests one way and replies the other, frame by frame, past the rules.

    Everything on it runs on the thread of the proxy.
    """

    def __init__(self, policy: Policy, client: Inbox, *, silent: bool) -> None:
        self.client = client
        self.seen: Set[bytes] = set()
        self._policy = policy
        self._server = Inbox(limit=_READ_AHEAD)
        self._exchanges: Exchanges[Rule] = Exchanges()
        self._requests = bytearray()
        self._replies = bytearray()
        self._cut: Optional[Side] = None
        self._cut_points: List[Tuple[int, Rule, bool]] = []
        self._deaf = False
        self._flowing = asyncio.Event()
        if not silent:
            self._flowing.set()

    async def run(self) -> None:
        """Carry until both sides are closed."""
        try:
            await self.client.connected.wait()
            if self._policy.muted:
                await self._discard()
            elif await self._connect():
                await self._carry()
            self.client.close()
            self._server.close()
            await self.client.closed.wait()
        except Exception as error:
            self._policy.failed(error)
        finally:
            await self.client.abort()
            await self._server.abort()

    def silence(self) -> None:
        """Let nothing pass any more, either way, until `resume`."""
        self._send_requests()
        self._flowing.clear()

    def resume(self) -> None:
        """Let everything pass again that was held up by `silence`."""
        self._flowing.set()

    def deafen(self) -> None:
        """Let nothing reach the client any more."""
        self._deaf = True

    def forward(self, data: bytes) -> None:
        """Send to the server, up to the next cut point."""
        if self._cut is not None or not data:
            return
        points, self._cut_points = self._cut_points, []
        for left, rule, taken in sorted(points, key=lambda point: point[0]):
            if left > len(data):
                self._cut_points.append((left - len(data), rule, taken))
            elif taken or rule.take():
                self._requests += data[:left]
                self.cut()
                rule.fire()
                return
        self._requests += data

    def answer(self, data: bytes) -> None:
        """Send to the client."""
        if not self._deaf:
            self._replies += data

    def cut(self, side: Side = "both", *, reset: bool = False) -> None:
        """Send what was forwarded and answered so far, and close."""
        self._cut = side
        self._flowing.set()
        self._send_requests()
        self.client.write(self._taken_replies())
        if side != "server":
            self.client.close(reset=reset)
        if side != "client":
            self._server.close()

    def cut_after(self, count: int, rule: Rule, *, taken: bool = True) -> None:
        """Close once `count` more bytes were forwarded.

        Args:
            count: How many bytes still pass.
            rule: Fires then.
            taken: Whether the rule was already used for this; else it is used then.
        """
        self._cut_points.append((count, rule, taken))

    async def hold_requests(self, release: Signal) -> None:
        """Send what was forwarded so far, then wait."""
        self._send_requests()
        await release.wait_async(None)
        await self._flowing.wait()

    async def hold_replies(self, release: Signal) -> None:
        """Send what was answered so far, then wait."""
        await self._send_replies()
        await release.wait_async(None)
        await self._flowing.wait()

    async def _connect(self) -> bool:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self._server, HOST, self._policy.upstream)
        except OSError:
            return False
        return True

    async def _discard(self) -> None:
        while await self.client.read():
            pass

    async def _carry(self) -> None:
        requests = asyncio.ensure_future(self._carry_requests())
        replies = asyncio.ensure_future(self._carry_replies())
        try:
            await asyncio.wait([requests, replies], return_when=asyncio.FIRST_COMPLETED)
            if requests.done():
                requests.result()
                await replies
            else:
                replies.result()
                if self._cut == "server":
                    await requests
        finally:
            requests.cancel()
            replies.cancel()
            await asyncio.gather(requests, replies, return_exceptions=True)

    async def _carry_requests(self) -> None:
        framer = Framer()
        while True:
            data = await self.client.read()
            await self._flowing.wait()
            if not data:
                break
            for frame in framer.feed(data):
                await self._request(frame)
            self._send_requests()
        if self._cut is None:
            self.forward(framer.rest)
            self._send_requests()
        if self._cut != "client":
            self._server.end()

    async def _carry_replies(self) -> None:
        framer = Framer()
        while True:
            data = await self._server.read()
            await self._flowing.wait()
            if not data:
                break
            for frame in framer.feed(data):
                await self._reply(frame)
            await self._send_replies()
        self.answer(framer.rest)
        await self._send_replies()

    async def _request(self, frame: bytes) -> None:
        words = read_command(frame)
        if self._cut is not None or not words:
            self.forward(frame)
            return
        self.seen.add(words[0].upper())
        rule = self._policy.rule_for(words)
        self._exchanges.asked(words, rule)
        if rule is None:
            self.forward(frame)
        else:
            await rule.action.request(self, frame, rule)
            await self._flowing.wait()

    async def _reply(self, frame: bytes) -> None:
        rule = self._exchanges.answered(frame)
        if rule is None:
            self.answer(frame)
        elif self._cut is None:
            await rule.action.reply(self, frame, rule)

    def _send_requests(self) -> None:
        if self._requests:
            self._policy.forwarded(len(self._requests))
            self._server.write(bytes(self._requests))
            self._requests.clear()

    def _taken_replies(self) -> bytes:
        data = bytes(self._replies)
        self._replies.clear()
        return data

    async def _send_replies(self) -> None:
        data = self._taken_replies()
        sent = 0
        while sent < len(data) and self._dripping():
            self.client.write(data[sent : sent + 1])
            sent += 1
            await asyncio.sleep(self._policy.drip_s or 0)
            await self._flowing.wait()
        self.client.write(data[sent:])
        await self.client.writable.wait()

    def _dripping(self) -> bool:
        return self._policy.drip_s is not None and not self.client.closed.is_set()
