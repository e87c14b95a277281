"""Uses and closes its client in an exit hook that runs when the client's loop has ended."""

from __future__ import annotations

import atexit
import sys
from typing import Any, List

clients: List[Any] = []


def hook() -> None:
    """Hooks run in the reverse order of registration: after that of the package."""
    from bananas import exceptions as exc

    try:
        clients[0].submit_job("work", None)
    except exc.ClientClosedError:
        clients[0].close()
        print("closed", flush=True)


atexit.register(hook)


def main(url: str) -> None:
    from bananas import Client

    clients.append(Client(url))
    print("leaving", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
