"""The command that audits the queue, and repairs what it finds."""

from __future__ import annotations

import sys
from typing import Any, Iterable, List, NamedTuple, Optional

import typer

from ..client import AsyncClient
from ..exceptions import BananasError
from ..repairs import AuditReport, Finding, FindingKind, RepairCounts
from . import options
from .arguments import span_of
from .confirming import agreed, refuse_unasked
from .exit_status import ERROR, end, say
from .output import console, facts, json_line
from .running import Target, run
from .waiting_view import waiting

__all__ = ["doctor"]

_REPAIR = typer.Option(False, "--repair", help="Show the plan, ask, and carry it out.")
_OBSERVE = typer.Option(
    "10s",
    "--observe",
    metavar="TIME",
    help="The time between the two checks: 10s or more. 0 checks once, and finds less.",
)
_TAKEN_FOR = typer.Option(
    "1h", "--taken-for", metavar="TIME", help="Report jobs that were taken longer ago."
)
_ROUTES_TOO = typer.Option(
    [], "--route", metavar="KEY", help="Also check this route; may be repeated."
)


class _Task(NamedTuple):
    """The deployment, and how things are shown."""

    target: Target
    as_json: bool
    quiet: bool


def doctor(
    repair: bool = _REPAIR,
    yes: bool = options.YES,
    observe: str = _OBSERVE,
    taken_for: str = _TAKEN_FOR,
    routing_keys: List[str] = _ROUTES_TOO,
    routes: Optional[str] = options.ROUTES,
    redis: Optional[str] = options.REDIS,
    key_prefix: str = options.KEY_PREFIX,
    as_json: bool = options.JSON,
    quiet: bool = options.QUIET,
) -> None:
    """Check all data of the queue, and say which problems there are and what to do.

    It changes nothing without --repair. With --repair it shows the plan and asks, unless you pass
    --yes. A second question is about jobs that are in no list: --yes never queues them again. With
    --quiet, print only the kinds of problems.

    Example: bananas doctor

    Example: bananas doctor --repair --yes --json
    """
    task = _Task(Target(redis, key_prefix), as_json, quiet)
    looks, age = span_of(observe, "--observe"), span_of(taken_for, "--taken-for")
    chosen = options.check_routes(routes)

    async def audit(client: AsyncClient) -> AuditReport:
        what = f"checking twice, {looks.total_seconds():g} s apart" if looks else "checking"
        with waiting(what, quiet=quiet or as_json):
            return await client.doctor(observe=looks, taken_for=age, routing_keys=routing_keys)

    report = run(task.target, audit)
    _show(task, report)
    if repair:
        _repair(task, report, chosen, yes=yes)


def _show(task: _Task, report: AuditReport) -> None:
    if task.as_json:
        json_line(report.to_dict())
        return
    if task.quiet:
        for kind in dict.fromkeys(finding.kind for finding in report.findings):
            typer.echo(kind)
        return
    for finding in report.findings:
        console().print(_facts(finding))
        typer.echo()
    counted = f"{report.documents} documents, {report.results} results, {report.entries} ids"
    found = len(report.findings)
    typer.echo(f"checked {counted}: {found or 'no'} problem{'' if found == 1 else 's'}")


def _facts(finding: Finding) -> Any:
    such_as = ", ".join(ascii(one)[1:-1] for one in finding.examples)
    return facts([
        (finding.kind, finding.message + (" (a guess)" if finding.is_guess else "")),
        ("such as", such_as),
        ("offer" if finding.is_offer else "repair", finding.repair),
        ("what to do", finding.advice),
    ])  # fmt: skip


def _repair(task: _Task, report: AuditReport, routes: Optional[str], *, yes: bool) -> None:
    """Ask for what is planned, and for what is offered, and do it."""
    kinds: List[FindingKind] = []
    if report.plan:
        refuse_unasked(_question(report.plan), yes=yes)
        if yes or agreed(_question(report.plan)):
            kinds += [finding.kind for finding in report.plan]
    can_ask = sys.stdin.isatty() and not yes
    if report.offers and not can_ask:
        say(f"not changed: {_list(report.offers)}; to be asked, pass no --yes, on a terminal")
    elif report.offers and agreed(_question(report.offers)):
        kinds += [finding.kind for finding in report.offers]
    if kinds:
        counts = _carry_out(task, report, kinds, routes)
        _show_counts(task, counts)
    elif can_ask and (report.plan or report.offers):
        end(ERROR, "nothing was done")
    elif task.as_json:
        json_line(RepairCounts().to_dict())
    elif not task.quiet:
        typer.echo("there is nothing to repair")


def _list(findings: Iterable[Finding]) -> str:
    parts = (
        f"{one.count} of {one.kind!r}" + (f" in {one.where}" if one.where else "")
        for one in findings
    )
    return ", ".join(parts)


def _question(findings: Iterable[Finding]) -> str:
    return f"Repair {_list(findings)}?"


def _show_counts(task: _Task, counts: RepairCounts) -> None:
    if task.as_json:
        json_line(counts.to_dict())
    elif task.quiet:
        typer.echo(str(counts.done))
    else:
        typer.echo(str(counts))


def _carry_out(
    task: _Task, report: AuditReport, kinds: List[FindingKind], routes: Optional[str]
) -> RepairCounts:
    so_far = RepairCounts()

    def progress(counts: RepairCounts) -> None:
        nonlocal so_far
        so_far = counts

    async def work(client: AsyncClient) -> RepairCounts:
        try:
            with waiting("repairing", quiet=task.quiet or task.as_json):
                return await client.repair(
                    report,
                    kinds=kinds,
                    routes=routes,  # type: ignore[arg-type]
                    progress=progress,
                )
        except (BananasError, ValueError):
            if so_far.done:
                _show_counts(task, so_far)
                say(f"repaired before the error: {so_far.done}; to go on, run it again")
            raise

    def interrupted() -> str:
        _show_counts(task, so_far)
        done = so_far.done
        return f"interrupted; repaired: {done}, perhaps more; to go on, run it again"

    return run(task.target, work, interrupted=interrupted)
