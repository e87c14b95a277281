"""Connects a socket to the first of a host's addresses that answers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import socket
import threading
from typing import Any, Dict, List, Sequence, Set, Tuple

from .._daemon_thread import run_in_daemon_thread, wait_for_daemon_thread

__all__ = [
    "HEAD_START",
    "Address",
    "AddressesFailed",
    "connect_socket",
    "prepare",
    "resolve",
    "resolve_here",
]

#: Seconds that an address has to itself before the next one is tried beside it (RFC 8305).
HEAD_START = 0.25

#: Family, type, protocol, canonical name and address, as getaddrinfo returns them.
Address = Tuple[Any, Any, int, str, Any]


class AddressesFailed(OSError):
    """No address of a host could be connected to.

    Attributes:
        errors: Why, for each address.
    """

    def __init__(self, errors: Sequence[OSError]) -> None:
        super().__init__("no address could be connected to")
        self.errors = tuple(errors)


async def resolve(host: str, port: int) -> List[Address]:
    """Return the addresses of a host, in the order in which to try them.

    The look-up runs in a thread of its own. The threads of the loop's executor can't be used once
    the main thread has ended, and the interpreter waits for them when it ends.

    Raises:
        OSError: The name can't be resolved.
    """
    look_up = functools.partial(_look_up, host, port)
    if _is_address(host):
        return look_up()
    try:
        found = await run_in_daemon_thread(look_up, "bananas resolver")
    except RuntimeError:
        if threading.main_thread().is_alive():
            raise
        found = look_up()  # the interpreter is ending, and starts no thread any more
    return _alternate(found)


def resolve_here(host: str, port: int, limit: float) -> List[Address]:
    """Do the same where there is no event loop, for ``limit`` seconds at most.

    Raises:
        OSError: The name can't be resolved, or not in time.
    """
    look_up = functools.partial(_look_up, host, port)
    if _is_address(host):
        return look_up()
    try:
        found = wait_for_daemon_thread(look_up, "bananas resolver", limit)
    except RuntimeError:
        if threading.main_thread().is_alive():
            raise
        found = look_up()
    return _alternate(found)


def _look_up(host: str, port: int) -> List[Address]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def connect_socket(addresses: Sequence[Address]) -> socket.socket:
    """Return a socket that is connected to one of some addresses.

    Raises:
        OSError: None of them can be connected to.
    """
    if len(addresses) == 1:
        return await _connect(addresses[0])
    left = list(addresses)
    failures: List[OSError] = []
    running: Set[asyncio.Task[socket.socket]] = set()
    try:
        while left or running:
            if left:
                running.add(asyncio.ensure_future(_connect(left.pop(0))))
            done, _ = await asyncio.wait(
                running, timeout=HEAD_START if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                running.discard(task)
                error = task.exception()
                if error is None:
                    running.update(done - {task})
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failures.append(error)
    finally:
        await _discard(running)
    raise AddressesFailed(failures)


async def _connect(address: Address) -> socket.socket:
    found = prepare(address)
    try:
        await asyncio.get_running_loop().sock_connect(found, address[4])
    except BaseException:
        found.close()
        raise
    return found


def prepare(address: Address) -> socket.socket:
    """Return a socket that does not block, and is to be connected to an address."""
    family, kind, protocol, _, _ = address
    found = socket.socket(family, kind, protocol)
    try:
        found.setblocking(False)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except BaseException:
        found.close()
        raise
    return found


async def _discard(tasks: Set[asyncio.Task[socket.socket]]) -> None:
    """End attempts that are not needed, and close what they have connected."""
    for task in tasks:
        task.cancel()
        task.add_done_callback(_close)
    if tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(tasks)


def _close(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _alternate(addresses: Sequence[Address]) -> List[Address]:
    """Put addresses of different families in turns, each family in its own order."""
    families: Dict[Any, List[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    longest = max(map(len, families.values()), default=0)
    return [
        family[place]
        for place in range(longest)
        for family in families.values()
        if place < len(family)
    ]
