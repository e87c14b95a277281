"""What a process holds: descriptors, threads, tasks and memory."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from dataclasses import dataclass

__all__ = ["Footprint"]


@dataclass(frozen=True)
class Footprint:
    """One look at the running process.

    Attributes:
        descriptors: Open files and sockets.
        threads: Running threads.
        tasks: Tasks of the running loop, the one that looks included; 0 without a loop.
        blocks: Memory blocks that the interpreter has allocated.
        resident: Bytes of memory that the process has.
    """

    descriptors: int
    threads: int
    tasks: int
    blocks: int
    resident: int

    @classmethod
    def now(cls) -> Footprint:
        """Look, once all garbage is gone."""
        gc.collect()
        try:
            tasks = len(asyncio.all_tasks())
        except RuntimeError:
            tasks = 0
        return cls(
            len(os.listdir("/dev/fd")),
            threading.active_count(),
            tasks,
            sys.getallocatedblocks(),
            _resident(),
        )


def _resident() -> int:
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
