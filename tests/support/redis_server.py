"""A real Redis server for one test or many, without persistence."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import List, Optional, Sequence

from .ports import HOST, free_port, redis_url
from .raw_client import RespError
from .redis_binary import find_redis_server, tls_available
from .sentinel_server import SentinelServer
from .server_process import ServerProcess, wait_until

__all__ = ["RedisServer", "RespError", "SentinelServer", "find_redis_server", "tls_available"]


class RedisServer(ServerProcess):
    """A redis-server on a free loopback port and on a unix socket, data in memory only.

    Use it as a context manager, or call `start` and `stop`. The port, the socket and the
    certificate stay the same from one start to the next.

    Args:
        password: Required of every client, and used for the primary of a replica.
        args: More arguments for redis-server, such as `["--maxmemory", "2mb"]`.
        tls: Listen with TLS too, on `tls_port`, with the self-signed certificate `ca_file`;
            `url` then is the rediss:// one.
        replica_of: The running primary to follow; `start` returns when the link is up.
        binary: Path of redis-server; by default what `find_redis_server` finds.
    """

    def __init__(
        self,
        *,
        password: Optional[str] = None,
        args: Sequence[str] = (),
        tls: bool = False,
        replica_of: Optional[ServerProcess] = None,
        binary: Optional[str] = None,
    ) -> None:
        super().__init__(binary=binary, password=password)
        if tls and not tls_available(self.binary):
            raise RuntimeError(f"{self.binary} was built without TLS")
        self.unix_socket = str(self.directory / "redis.sock")
        self.tls_port = free_port() if tls else None
        self.ca_file = str(self.directory / "server.crt") if tls else None
        self._args = list(args)
        self._replica_of = replica_of

    def start(self) -> RedisServer:
        """Start it and return once it answers, with its old data if `stop` kept them."""
        super().start()
        if self._replica_of is not None and self._replica_of.running:
            self.wait_in_sync()
        return self

    def stop(self, keep_data: bool = False) -> None:
        """End the process.

        Args:
            keep_data: Save the data for the next `start`; else they are lost.
        """
        if keep_data:
            self.command("SAVE")
        super().stop()
        if not keep_data and self._dump.exists():
            self._dump.unlink()

    def restart(self, keep_data: bool, downtime_s: float = 0) -> None:
        """Stop it, stay away for `downtime_s` seconds, and start it on the same port."""
        self.stop(keep_data)
        time.sleep(downtime_s)
        self.start()

    def url(
        self, db: int = 0, username: Optional[str] = None, password: Optional[str] = None
    ) -> str:
        """Return the URL to reach it by; the default password is the server's own."""
        if self.tls_port is None:
            return super().url(db, username, password)
        password = self.password if password is None else password
        url = redis_url(self.tls_port, db, username, password, scheme="rediss")
        return f"{url}?ssl_ca_certs={self.ca_file}"

    def wait_in_sync(self) -> None:
        """Wait until this replica has the data of its primary."""
        wait_until(
            lambda: b"master_link_status:up" in self.command("INFO", "replication"),
            f"the replica on port {self.port} is in sync",
        )

    def arguments(self) -> List[str]:
        """Return the command line behind the binary's name."""
        found = ["--bind", HOST, "--port", str(self.port), "--unixsocket", self.unix_socket]
        found += ["--dir", str(self.directory), "--save", "", "--appendonly", "no"]
        # Else a replica's first copy of the data waits five seconds for more replicas.
        found += ["--repl-diskless-sync-delay", "0"]
        if self.password is not None:
            found += ["--requirepass", self.password, "--masterauth", self.password]
        if self._replica_of is not None:
            found += ["--replicaof", HOST, str(self._replica_of.port)]
        if self.tls_port is not None:
            found += self._tls_arguments()
        return found + self._args

    def move(self) -> None:
        """Take other ports, before the first start."""
        super().move()
        if self.tls_port is not None:
            self.tls_port = free_port()

    @property
    def _dump(self) -> Path:
        return self.directory / "dump.rdb"

    def _tls_arguments(self) -> List[str]:
        key, certificate = self.directory / "server.key", self.directory / "server.crt"
        if not certificate.exists():
            _self_signed(key, certificate)
        found = ["--tls-port", str(self.tls_port), "--tls-auth-clients", "no"]
        found += ["--tls-key-file", str(key), "--tls-cert-file", str(certificate)]
        found += ["--tls-ca-cert-file", str(certificate)]
        return found


def _self_signed(key: Path, certificate: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"]
    command += ["-addext", f"subjectAltName=DNS:localhost,IP:{HOST}"]
    subprocess.run(command, check=True, timeout=60, stderr=subprocess.PIPE)
