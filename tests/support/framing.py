"""RESP frames: written, cut out of a stream of bytes, and read as commands."""

from __future__ import annotations

from typing import List, Union

import hiredis

__all__ = ["Argument", "Framer", "encode_command", "read_command"]

Argument = Union[bytes, str, int, float]

_BULK = frozenset(b"$=!")
_CHILDREN = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}


def encode_command(*args: Argument) -> bytes:
    """Return one command as it goes over the wire."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        value = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(value), value))
    return b"".join(parts)


def read_command(frame: bytes) -> List[bytes]:
    """Return the words of a command, inline form included; empty when it is none."""
    if not frame.startswith(b"*"):
        return frame.split()
    reader = hiredis.Reader()
    try:
        reader.feed(frame)
        words = reader.gets()
    except hiredis.ProtocolError:
        return []
    if isinstance(words, list) and all(isinstance(word, bytes) for word in words):
        return words
    return []


class Framer:
    """Cuts a stream into whole frames, however its bytes were split on the way.

    Works on requests and on replies, RESP2 and RESP3 (streamed types excepted).
    What is no RESP counts as a frame per line.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._next = 0
        self._missing = 1

    @property
    def rest(self) -> bytes:
        """The bytes of the frame that is not whole yet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> List[bytes]:
        """Return the frames that `data` completes."""
        buffer = self._buffer
        buffer += data
        frames = []
        start = 0
        while True:
            header_end = buffer.find(b"\r\n", self._next)
            if header_end < 0:
                break
            kind = buffer[self._next] if header_end > self._next else 0
            end = header_end + 2
            children = 0
            if kind in _BULK or kind in _CHILDREN:
                size = _size(buffer[self._next + 1 : header_end])
                if kind in _CHILDREN:
                    children = size * _CHILDREN[kind]
                elif size >= 0:
                    end += size + 2
            if end > len(buffer):
                break
            # An attribute stands before the element that it describes, and is none itself.
            self._missing += max(children, 0) - (kind != ord("|"))
            self._next = end
            if self._missing == 0:
                frames.append(bytes(buffer[start:end]))
                start, self._missing = end, 1
        del buffer[:start]
        self._next -= start
        return frames


def _size(digits: bytearray) -> int:
    try:
        return int(digits)
    except ValueError:
        return -1
