"""Runs ``bananas dead requeue`` again and again, and kills it at one moment or another."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from typing import NoReturn

from bananas import cli
from tests.support import RawClient

QUEUE = "bananas:queue:normal"
_LIMIT = 100.0


def run(*arguments: str) -> NoReturn:
    """Run a command in this process, and end it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["bananas", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(0)


def main(url: str, port: int, seed: str, kills: int) -> None:
    """Kill it as soon as some more letters have gone; print how many had."""
    rng = random.Random(seed)
    gone = 0
    with RawClient(port) as redis:
        for number in range(kills):
            child = os.fork()
            if not child:
                run("dead", "requeue", "--name", "work", "--yes", "--redis", url)
            until = gone + rng.randint(1, 150)
            deadline = time.monotonic() + _LIMIT
            has_ended = 0
            while gone < until and not has_ended:
                assert time.monotonic() < deadline
                gone = redis.command("LLEN", QUEUE)
                has_ended = os.waitpid(child, os.WNOHANG)[0]
                time.sleep(0.002)
            if not has_ended:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            redis.command("LPUSH", "bananas:queue:dead", f"new{number}")
            gone = redis.command("LLEN", QUEUE)
            print(gone, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
