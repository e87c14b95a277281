"""The command ``manage.py bananas``: the command line, on what the settings name."""

from __future__ import annotations

import argparse
from typing import Any, Dict, List, Tuple

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ....cli import main
from ..._client import load_settings

__all__ = ["Command"]

_PROGRAM = "manage.py bananas"


class Command(BaseCommand):
    """Passes what follows on to the command line, with the client of the settings."""

    help = "Submit jobs, follow them, and repair the queue. See: manage.py bananas --help"
    requires_system_checks: Tuple[str, ...] = ()

    def run_from_argv(self, argv: List[str]) -> None:
        """Run it as ``manage.py`` does: all options are those of the command line."""
        options = ("--settings", "--pythonpath")  # which manage.py has seen to
        arguments: List[str] = []
        rest = iter(argv[2:])
        for argument in rest:
            if argument in options:
                next(rest, None)
            elif not argument.startswith(tuple(f"{option}=" for option in options)):
                arguments.append(argument)
        try:
            self._run(arguments)
        except CommandError as error:
            self.stderr.write(f"{_PROGRAM}: {error}")
            raise SystemExit(error.returncode) from None

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whatever ``call_command`` is given."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it as ``call_command`` does; raises SystemExit where the status is not 0."""
        try:
            self._run([str(argument) for argument in options["arguments"]])
        except SystemExit as error:
            if error.code:
                raise

    def _run(self, arguments: List[str]) -> None:
        try:
            settings = load_settings()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        main(arguments, _PROGRAM, _defaults(settings.arguments), settings.make)


def _defaults(settings: Dict[str, Any]) -> Dict[str, str]:
    found = {"key_prefix": settings.get("key_prefix"), "route": settings.get("routing_key")}
    return {name: value for name, value in found.items() if value is not None}
