"""Recovers the jobs of killed workers over and over, and says so after each page."""

from __future__ import annotations

import sys

from bananas import Client
from bananas.repairs import RecoveryCounts


def say(counts: RecoveryCounts) -> None:
    """Print how many were recovered so far."""
    print(counts.done, flush=True)


def main(url: str) -> None:
    """Note all of them, and recover them."""
    with Client(url) as client:
        client.recover(0)
        client.recover(0, progress=say)


if __name__ == "__main__":
    main(sys.argv[1])
