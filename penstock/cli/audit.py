"""`penstock audit`: hold what Penstock promises against what is in the topics."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import logs, loops, output, target
from penstock.cli.errors import FAILED
from penstock.cli.options import AsJson, Bootstrap, WorkflowId

if TYPE_CHECKING:
    from streams.audit.audit import Terms
    from streams.audit.chains import ChainReport
    from streams.audit.report import Report, Violation
    from streams.engine.config import EngineConfig

app = typer.Typer(help="Whether the invariants hold on what is in the topics.", no_args_is_help=True)

SHOWN = 20
"""So many violations of one code are shown to people; `--json` has all."""


@app.command("run")
def run(
    workflow_id: WorkflowId,
    not_quiet: Annotated[
        bool,
        typer.Option("--not-quiet", help="Workers are at work: do not ask that everything is consumed and committed."),
    ] = False,
    max_repeated: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Allow so many repeated executions (those in flight at crashes)."),
    ] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Read every topic and table of a workflow from the beginning and check them against each other.

    The last line is `N violations`; exit 1 if there are any, 2 if some of its topics cannot be seen. Nothing is written and no group is joined.
    """
    from streams.audit.audit import Terms

    logs.quiet()
    config, terms = target.config_of(bootstrap), Terms(not not_quiet, max_repeated)
    report = loops.asking(_audit(config, workflow_id, terms), config, "audit", workflow_id)
    if as_json:
        _print_json(report)
    else:
        _print(report)
    if report.violations:
        raise typer.Exit(FAILED)


@app.command("verify")
def verify(workflow_id: WorkflowId, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Verify the hash chains of reviews: what was asked, submitted and decided, up to the heads in the runs' results.

    Names the first record of each that was dropped, reordered or altered; exit 1 if there is any. Nothing is written.
    """
    logs.quiet()
    config = target.config_of(bootstrap)
    report = loops.asking(_verify(config, workflow_id), config, "audit", workflow_id)
    problems = [{**dataclasses.asdict(problem), "at": problem.place} for problem in report.problems]
    if as_json:
        for problem in problems:
            output.line(problem)
        summary = {"chains": report.chains, "problems": len(problems), "notes": list(report.notes)}
        output.line({"summary": summary})
    else:
        if problems:
            columns = ("run_id", "node", "epoch", "what", "at", "message")
            output.table(columns, [[problem[column] for column in columns] for problem in problems])
        for note in report.notes:
            output.text(note)
        output.text(f"{report.chains} chains, {len(problems)} problems")
    if problems:
        raise typer.Exit(FAILED)


async def _verify(config: EngineConfig, workflow_id: str) -> ChainReport:
    from streams.audit.read import verify_workflow

    return await verify_workflow(config, workflow_id, await _topics(config, workflow_id))


async def _audit(config: EngineConfig, workflow_id: str, terms: Terms) -> Report:
    from streams.audit.read import audit_workflow

    return await audit_workflow(config, workflow_id, await _topics(config, workflow_id), terms)


async def _topics(config: EngineConfig, workflow_id: str) -> dict[str, int]:
    """Return the broker's topics; raise `TopicsMissing` where the workflow's are not all there: no audit of a part may pass for one of all."""
    from penstock.client import workflows
    from streams.errors import TopicsMissing

    topics = await workflows.topics_on(config)
    workflows.workflow_called(workflow_id, topics)
    unseen = workflows.unseen(workflow_id, topics)
    if unseen:
        raise TopicsMissing(
            f"workflow {workflow_id!r} cannot be judged: {', '.join(unseen)} cannot be seen: deleted, or hidden from this client "
            "(`penstock acls FILE --for console` prints what an audit needs)"
        )
    return topics


def _print_json(report: Report) -> None:
    for violation in report.violations:
        output.line(dataclasses.asdict(violation))
    counted = Counter(violation.code for violation in report.violations)
    summary = {
        "violations": len(report.violations),
        "codes": dict(sorted(counted.items())),
        **dataclasses.asdict(report.figures),
        "notes": list(report.notes),
    }
    output.line({"summary": summary})


def _print(report: Report) -> None:
    figures = {name: value for name, value in dataclasses.asdict(report.figures).items() if value}
    output.table(("figure", "count"), [(name.replace("_", " "), value) for name, value in figures.items()])
    if report.violations:
        output.table(("code", "where", "what"), _rows(report.violations))
    for note in report.notes:
        output.text(note)
    output.text(f"{len(report.violations)} violations")


def _rows(violations: tuple[Violation, ...]) -> Iterator[tuple[str, str, str]]:
    """Yield the first ones of each code, and how many more there are."""
    counted = Counter(violation.code for violation in violations)
    shown: Counter[str] = Counter()
    for violation in violations:
        shown[violation.code] += 1
        if shown[violation.code] <= SHOWN:
            yield violation.code, violation.place, violation.message
        elif shown[violation.code] == counted[violation.code]:
            yield violation.code, "", f"and {counted[violation.code] - SHOWN} more"
