"""A redis-server process on loopback that lives no longer than the object that owns it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, List, Optional, Type, TypeVar

from .framing import Argument
from .ports import free_port, redis_url
from .raw_client import RawClient, RespError
from .redis_binary import find_redis_server

__all__ = ["ServerProcess", "wait_until"]

_READY_S = 60.0
_STOP_S = 10.0
_STARTS = 10

S = TypeVar("S", bound="ServerProcess")


def wait_until(condition: Callable[[], bool], what: str, timeout: float = _READY_S) -> None:
    """Look at `condition()` every few milliseconds until it holds.

    Raises:
        TimeoutError: It did not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s in vain until {what}")
        time.sleep(0.005)


class ServerProcess:
    """Starts redis-server on a port that it then keeps; subclasses say with which arguments.

    Args:
        binary: Path of redis-server; by default what `find_redis_server` finds.
        password: What `command` logs in with.
    """

    def __init__(self, *, binary: Optional[str] = None, password: Optional[str] = None) -> None:
        self.binary = binary or find_redis_server()
        self.password = password
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="redis-"))
        self._started = False
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._remove = weakref.finalize(self, _remove, os.getpid(), str(self.directory))

    def arguments(self) -> List[str]:
        """Return the command line behind the binary's name."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The process id; an error when the server does not run."""
        if self._process is None:
            raise RuntimeError(f"the server on port {self.port} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self: S) -> S:
        """Start the process and return once it answers.

        The first start takes another port when somebody was faster to take this one.

        Raises:
            RuntimeError: It ended instead; the message has what it wrote.
            TimeoutError: It does not answer.
        """
        if self.running:
            raise RuntimeError(f"the server on port {self.port} is already running")
        for attempt in range(_STARTS):
            if self._launch():
                self._started = True
                return self
            if "Address already in use" not in self.log() or attempt == _STARTS - 1:
                break
            if self._started:
                time.sleep(0.1)
            else:
                self.move()
        raise RuntimeError("redis-server ended at once:\n" + self.log())

    def move(self) -> None:
        """Take another port, before the first start."""
        self.port = free_port()

    def stop(self) -> None:
        """End the process, by force if it takes too long; nothing happens when it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            # A paused process would only act on the second signal once it goes on.
            process.send_signal(signal.SIGCONT)
            process.terminate()
        _end(process)

    def pause(self) -> None:
        """Freeze the process: its connections stay open and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def log(self) -> str:
        """Return what the process wrote since its last start."""
        return (self.directory / "log").read_text(errors="replace")

    def connect(self, timeout: float = 30.0) -> RawClient:
        """Return a new connection, logged in."""
        client = RawClient(self.port, timeout)
        try:
            if self.password is not None:
                client.command("AUTH", self.password)
        except BaseException:
            client.close()
            raise
        return client

    def command(self, *args: Argument) -> Any:
        """Run one command on a connection of its own and return the reply.

        Raises:
            RespError: The server answered with an error.
        """
        with self.connect() as client:
            return client.command(*args)

    def url(
        self, db: int = 0, username: Optional[str] = None, password: Optional[str] = None
    ) -> str:
        """Return the URL to reach it by; the default password is the server's own."""
        return redis_url(self.port, db, username, self.password if password is None else password)

    def _launch(self) -> bool:
        with open(str(self.directory / "log"), "wb") as log:
            process = subprocess.Popen(
                [self.binary, *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=str(self.directory),
            )
        self._process = process
        weakref.finalize(self, _kill, os.getpid(), process)
        wait_until(self._ended_or_answers, f"redis-server answers on port {self.port}")
        if not self.running:
            self._process = None
        return self.running

    def _ended_or_answers(self) -> bool:
        if not self.running:
            return True
        try:
            # Somebody else's server on the port answers too, but not with our process id.
            ours = b"process_id:%d\r\n" % self.pid in self.command("INFO", "server")
            # Unlike INFO, refused while the data is being loaded.
            return ours and self.command("PING") == b"PONG"
        except (OSError, EOFError, RespError):
            return False

    def __enter__(self: S) -> S:
        return self.start()

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        tb: Optional[TracebackType],
    ) -> None:
        self.stop()
        self._remove()


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_S)


# Both run when the owner is forgotten, at exit too, but not in a child forked off by a test.


def _kill(owner: int, process: subprocess.Popen[bytes]) -> None:
    if os.getpid() == owner and process.poll() is None:
        process.kill()
        process.wait(_STOP_S)


def _remove(owner: int, directory: str) -> None:
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)
