"""The entry of the command line, which says what is missing where an extra is."""

from __future__ import annotations

import os
import sys
from typing import Callable, Mapping, NoReturn, Optional, Sequence

from .._missing_extras import remedy
from ..client import AsyncClient

__all__ = ["main"]

#: What a shell reports of a program that Ctrl-C ended; what typer makes of a broken pipe.
_INTERRUPTED = 130
_BROKEN_PIPE = 1


def main(
    arguments: Optional[Sequence[str]] = None,
    program: str = "bananas",
    defaults: Optional[Mapping[str, str]] = None,
    make_client: Optional[Callable[..., AsyncClient]] = None,
) -> None:
    """Run the command line: the script ``bananas``, and ``python -m bananas``.

    Args:
        arguments: What follows the name of the program; None is what this process was given.
        program: What help calls the program.
        defaults: By parameter, such as ``key_prefix``, what commands take that are not told.
        make_client: Makes the client of a command that is given no URL, with the arguments that
            the command line sets; None is ``AsyncClient``.

    Ends the process with status 0 when it is done, 1 after an error, 2 where the command line is
    wrong, 3 when a job failed, 4 when a wait timed out, 5 where something is not there, 130 after
    Ctrl-C; 1, without a word, when nobody reads its output any more.
    """
    try:
        try:
            # The commands need packages that the library does not.
            from .app import app, with_defaults
            from .running import client_maker

            known = with_defaults(defaults) if defaults else None
            before = client_maker.set(make_client or AsyncClient)
            try:
                app(arguments, prog_name=program, default_map=known)
            finally:
                client_maker.reset(before)
        finally:
            sys.stdout.flush()
    except ModuleNotFoundError as error:
        _end_for_want_of(error)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # What is still to be written as the interpreter ends must go somewhere.
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
        sys.exit(_BROKEN_PIPE)


def _end_for_want_of(error: ModuleNotFoundError) -> NoReturn:
    package = (error.name or "").partition(".")[0]
    if package in ("", "bananas"):
        raise error
    # At once what the demo needs: it would name its own extra next.
    extra = "demo" if sys.argv[1:2] == ["demo"] else "cli"
    print(
        f"bananas: the command line needs the package {package}; {remedy(extra)}",
        file=sys.stderr,
    )
    sys.exit(1)
