"""Commands whose ``--help`` shows a flag without a value, as it is written."""

from __future__ import annotations

from typing import Any, List

from typer.core import TyperCommand, TyperGroup

__all__ = ["FlagCommand", "FlagGroup"]


def _without_values(parameters: List[Any]) -> List[Any]:
    """Take away what newer versions of typer show behind a flag: ``--json <bool>``."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


class FlagCommand(TyperCommand):
    """A command whose flags show no value."""

    def get_params(self, ctx: Any) -> List[Any]:
        """Return the options and arguments, ``--help`` included."""
        return _without_values(super().get_params(ctx))


class FlagGroup(TyperGroup):
    """A group whose flags show no value."""

    def get_params(self, ctx: Any) -> List[Any]:
        """Return the options, ``--help`` included."""
        return _without_values(super().get_params(ctx))
