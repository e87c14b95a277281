"""The entry of the command line, which needs nothing but the standard library to say so."""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]

#: What a shell reports of a program that Ctrl-C ended.
_INTERRUPTED = 130


def main() -> None:
    """Run the command line: the script ``bananas``, and ``python -m bananas``.

    Ends the process with status 0 after a success, 1 after a failure, 2 where the command line
    is wrong, 130 after Ctrl-C.
    """
    try:
        # The commands need packages that the library does not.
        from ._commands import app

        app()
    except ModuleNotFoundError as error:
        _end_for_want_of(error)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _end_for_want_of(error: ModuleNotFoundError) -> NoReturn:
    package = (error.name or "").partition(".")[0]
    if package in ("", "bananas"):
        raise error
    print(
        f"bananas: the command line needs the package {package}; install it with: "
        'python -m pip install "bananas-queue[cli]"',
        file=sys.stderr,
    )
    sys.exit(1)
