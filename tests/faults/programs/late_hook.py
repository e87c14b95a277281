"""Uses and closes its client in an exit hook that runs when the client's loop has ended."""

from __future__ import annotations

import atexit
import sys
from typing import Any, List

clients: List[Any] = []


def hook() -> None:
    """Hooks run in the reverse order of registration: after that of the package."""
    from bananas import exceptions as exc

    clients[0].submit_job("work", None)  # on a blocking connection, which needs no loop
    try:
        clients[0].get_job("job")
    except exc.ClientClosedError:
        clients[0].close()
        print("closed", flush=True)


atexit.register(hook)


def main(url: str) -> None:
    from bananas import Client

    clients.append(Client(url))
    clients[0].get_job("job")
    print("leaving", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
