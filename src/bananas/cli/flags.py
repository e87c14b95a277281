"""Commands whose ``--help`` shows flags as they are written, and groups that know other names."""

from __future__ import annotations

from typing import Any, Iterable, List, Set, Tuple

from typer.core import TyperCommand, TyperGroup

__all__ = ["FlagCommand", "FlagGroup"]

#: What else people call a command, and what it is called here.
_OTHER_NAMES = {
    "schedule": "submit NAME --at TIME",
    "enqueue": "submit",
    "run": "call",
    "status": "explain",
    "where": "explain",
    "why": "explain",
    "revoke": "cancel",
    "abort": "cancel",
    "retry": "requeue",
    "list": "jobs PLACE",
    "depths": "queues",
    "stats": "queues",
    "audit": "doctor",
    "repair": "doctor",
    "dead-letters": "dead",
    "dead_letters": "dead",
    "deadletters": "dead",
    "dlq": "dead",
    "purge": "dead purge",
}


def _without_values(parameters: List[Any]) -> List[Any]:
    """Take away what newer versions of typer show behind a flag: ``--json <bool>``."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


def _spellings(parameters: Iterable[Any]) -> Set[str]:
    """Return all options among some parameters, as they are written."""
    return {spelling for parameter in parameters for spelling in parameter.opts}


class FlagCommand(TyperCommand):
    """A command whose flags show no value."""

    def get_params(self, ctx: Any) -> List[Any]:
        """Return the options and arguments, ``--help`` included."""
        return _without_values(super().get_params(ctx))


class FlagGroup(TyperGroup):
    """A group whose flags show no value, and which knows other names of its commands."""

    def get_params(self, ctx: Any) -> List[Any]:
        """Return the options, ``--help`` included."""
        return _without_values(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: List[str]) -> List[str]:
        """Read the group's own options, or say where that of a command belongs."""
        option = args[0].partition("=")[0] if args else ""
        if option.startswith("-"):
            own = _spellings(self.get_params(ctx))
            if option not in own and any(
                option in _spellings(command.params) for command in self.commands.values()
            ):
                ctx.fail(
                    f"{option} must come after the command: {ctx.command_path} COMMAND {option}"
                )
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: List[str]) -> Tuple[Any, Any, List[str]]:
        """Return the command that the arguments name, or fail and say which may be meant."""
        known = _OTHER_NAMES.get(args[0]) if args else None
        if known is not None and args[0] not in self.commands:
            name = known.split()[0]
            if name in self.commands:
                ctx.fail(f"No such command {args[0]!r}. Did you mean '{known}'?")
        return super().resolve_command(ctx, args)
