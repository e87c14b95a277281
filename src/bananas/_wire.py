"""A second descriptor of a connection's socket, for a thread that writes and reads by itself."""

from __future__ import annotations

import os
import select
from typing import Optional

__all__ = ["Wire"]

_MOST_AT_ONCE = 4096
_duplicate = os.dup


class Wire:
    """Writes to, and reads from, a non-blocking socket whose event loop looks away meanwhile.

    One thread at a time may use it. It is closed when nobody holds it any more: were it closed
    earlier, its number could already be another file's when a thread writes.

    Args:
        descriptor: The socket's, which is duplicated.

    Raises:
        OSError: No descriptor is left.
    """

    _descriptor: Optional[int] = None
    _bell: Optional[int] = None
    _button: Optional[int] = None

    def __init__(self, descriptor: int) -> None:
        self._descriptor = _duplicate(descriptor)
        self._bell, self._button = os.pipe()

    def wait(self, limit: float) -> bool:
        """Wait for ``limit`` seconds at most, or until it rings, which it does but once.

        Returns:
            Whether something, or the end, is here, and it has not rung.
        """
        assert self._descriptor is not None
        assert self._bell is not None
        poll = select.poll()  # one for all threads would refuse the second
        poll.register(self._descriptor, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        found = poll.poll(limit * 1000)
        return len(found) == 1 and found[0][0] == self._descriptor

    def ring(self) -> None:
        """End the wait of another thread; of no more use after that."""
        assert self._button is not None
        os.write(self._button, b"!")

    def write(self, data: bytes) -> int:
        """Write what the network takes at once; return how many bytes that is."""
        assert self._descriptor is not None
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0

    def read(self) -> bytes:
        """Read what is here; nothing is the end of the connection."""
        assert self._descriptor is not None
        return os.read(self._descriptor, _MOST_AT_ONCE)

    def __del__(self) -> None:
        for descriptor in (self._descriptor, self._bell, self._button):
            if descriptor is not None:
                os.close(descriptor)
