"""Strikes at random at the connections between a client and its server."""

from __future__ import annotations

import random
from typing import Callable, List

from tests.support import (
    CutAfterBytes,
    CutReply,
    FaultProxy,
    GoSilent,
    LoseReply,
    LoseReplySilently,
    RedisServer,
    command,
)

__all__ = ["Trouble"]


class Trouble:
    """Deals out faults, one at a time.

    Args:
        server: Whose clients are struck.
        proxy: What they connect to.
        rng: Decides which fault it is, and where it strikes.
    """

    def __init__(self, server: RedisServer, proxy: FaultProxy, rng: random.Random) -> None:
        self._server = server
        self._proxy = proxy
        self._rng = rng
        self._refusing = False
        self._strikes: List[Callable[[], object]] = [
            self._cut,
            self._cut_listener,
            self._kill_listener,
            self._kill,
            self._silence,
            self._silence_listener,
            self._lose_reply,
            self._cut_submit,
            self._cut_reply,
            self._refuse,
        ]

    def strike(self) -> None:
        """Strike once. Connections that are refused then are until the next strike."""
        self.relent()
        self._rng.choice(self._strikes)()

    def relent(self) -> None:
        """Accept connections again if the last strike has refused them."""
        if self._refusing:
            self._refusing = False
            self._proxy.accept()

    def end(self) -> None:
        """Let all be well again; what was held up on silent connections arrives now."""
        self._refusing = False
        self._proxy.clear()
        self._proxy.accept()
        self._proxy.resume()

    def _cut(self) -> None:
        self._proxy.cut_all(reset=self._rng.random() < 0.5)

    def _cut_listener(self) -> None:
        self._proxy.cut_all(seen=b"SUBSCRIBE")

    def _kill_listener(self) -> None:
        self._server.command("CLIENT", "KILL", "TYPE", "pubsub")

    def _kill(self) -> None:
        with self._server.connect() as redis:
            for line in redis.command("CLIENT", "LIST", "TYPE", "normal").splitlines():
                facts = dict(word.split(b"=", 1) for word in line.split())
                if facts[b"name"] == b"bananas":  # not those of the test itself
                    redis.command("CLIENT", "KILL", "ID", facts[b"id"])

    def _silence(self) -> None:
        first = self._rng.choice([b"EXEC", b"HGETALL", b"GETRANGE"])
        self._proxy.on(command(first), GoSilent())

    def _silence_listener(self) -> None:
        self._proxy.go_silent(seen=b"SUBSCRIBE")

    def _lose_reply(self) -> None:
        losses = [LoseReply(), LoseReply(reset=True), LoseReplySilently()]
        self._proxy.on(command(b"EXEC"), self._rng.choice(losses), times=self._rng.randint(1, 2))

    def _cut_submit(self) -> None:
        self._proxy.on(command(b"MULTI"), CutAfterBytes(self._rng.randint(0, 500)))

    def _cut_reply(self) -> None:
        first = self._rng.choice([b"EXEC", b"HGETALL", b"GETRANGE", b"SUBSCRIBE"])
        self._proxy.on(command(first), CutReply(self._rng.randint(0, 20)))

    def _refuse(self) -> None:
        self._refusing = True
        self._proxy.refuse()
        self._proxy.cut_all()
