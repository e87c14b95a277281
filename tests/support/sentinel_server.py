"""A Redis Sentinel that watches one primary."""

from __future__ import annotations

from typing import List, Optional

from .ports import HOST
from .server_process import ServerProcess, wait_until

__all__ = ["SentinelServer"]


class SentinelServer(ServerProcess):
    """One Sentinel, quorum 1, that fails over half a second after the primary falls silent.

    Args:
        primary: The running server to watch.
        name: What Sentinel calls it.
        binary: Path of redis-server; by default the primary's.
    """

    def __init__(
        self, primary: ServerProcess, name: str = "mymaster", *, binary: Optional[str] = None
    ) -> None:
        super().__init__(binary=binary or primary.binary)
        self.name = name
        self._primary = primary

    def arguments(self) -> List[str]:
        """Return the command line behind the binary's name."""
        path = self.directory / "sentinel.conf"
        if not self._started:
            path.write_text("\n".join(self._configuration()) + "\n")
        return [str(path), "--sentinel"]

    def primary_port(self) -> int:
        """Return the port of the server that it takes for the primary now."""
        return int(self.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1])

    def wait_for_replicas(self, count: int = 1) -> None:
        """Wait until it knows `count` replicas, without which it can't fail over."""
        wait_until(
            lambda: len(self.command("SENTINEL", "REPLICAS", self.name)) >= count,
            f"Sentinel knows {count} replicas",
        )

    def wait_for_failover(self, port: int) -> None:
        """Wait until it takes the server on `port` for the primary."""
        wait_until(lambda: self.primary_port() == port, f"{port} is the primary")

    def _configuration(self) -> List[str]:
        watched = "sentinel {} " + self.name + " {}"
        address = f"{HOST} {self._primary.port} 1"
        lines = ["bind " + HOST, f"port {self.port}"]
        lines += [watched.format("monitor", address)]
        lines += [watched.format("down-after-milliseconds", 500)]
        lines += [watched.format("failover-timeout", 3000)]
        if self._primary.password is not None:
            lines += [watched.format("auth-pass", self._primary.password)]
        return lines
