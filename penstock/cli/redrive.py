"""`penstock dead-letter redrive`: gather the dead letters that are meant, decide which go back, send them and wait for the answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import logs, loops, output, target
from penstock.cli.asking import agreed, patch_of, requester
from penstock.cli.errors import FAILED, BadUsage, say
from penstock.cli.options import AsJson, Bootstrap, WorkflowId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.client.dead_letter import DeadLetter
    from penstock.client.dead_letters import Selection, Status
    from penstock.client.redriving import How
    from penstock.client.workflows import Workflow
    from streams.engine.config import EngineConfig

OfRun = Annotated[str | None, typer.Option("--run-id", metavar="R", help="Only of this run.")]
OfNode = Annotated[str | None, typer.Option("--node", metavar="N", help="Only of this node.")]
OfKind = Annotated[
    str | None, typer.Option("--kind", metavar="K", help="Only of this kind, such as timeout or input_schema.")
]

UNANSWERED = "unanswered"


def redrive(
    workflow_id: WorkflowId,
    run_id: OfRun = None,
    node: OfNode = None,
    kind: OfKind = None,
    edit: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="A JSON merge patch of what the node sees: {input: ..., ANCESTOR: ...}; or of an input.",
        ),
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, metavar="N", help="At most N a second.")] = None,
    timeout: Annotated[float, typer.Option(min=0, metavar="S", help="How long to wait for the workers' answer.")] = 30,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the workers answered.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, should there be more than one.")] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Run failed nodes again, and what was skipped below them; publish inputs again that could not be used. All that are open, or some.

    What succeeded is not run again, and what was sent back already is left alone: a second redrive does nothing.
    """
    from penstock.client.dead_letters import Selection
    from penstock.client.redriving import How

    patch = patch_of(edit, 'what the node sees, such as {"input": {"n": 1}}')
    selection = Selection(run_id, node, kind)
    logs.quiet()
    config = target.config_of(bootstrap)
    workflow, letters = loops.asking(found(config, workflow_id, selection), config, "command", workflow_id)
    going = [letter for letter, status in letters if status == "open" and letter.redrivable]
    _check(going, patch, yes)
    failed = _say_left_alone(letters, as_json, run_id)
    if going:
        how = How(requester(), patch, rate, timeout if wait else None)
        failed = loops.asking(_redrive(config, workflow, going, how, as_json), config, "command", workflow_id) or failed
    if failed:
        raise typer.Exit(FAILED)


async def found(
    config: EngineConfig, workflow_id: str, selection: Selection, *, values: bool = True
) -> tuple[Workflow, list[tuple[DeadLetter, Status]]]:
    """Return the workflow and its dead letters, those that are meant, with how they stand."""
    from penstock.client import connections, dead_letters, workflows
    from topology.naming import dead_letter_topic

    topics = await workflows.topics_on(config)
    workflow = workflows.workflow_called(workflow_id, topics)
    async with connections.reader(config) as reader:
        letters = await dead_letters.read(
            reader, workflow, topics.get(dead_letter_topic(workflow_id), 0), values=values
        )
        rows = await dead_letters.rows(reader, workflow)
    return workflow, [one for one in dead_letters.with_status(letters, rows) if selection.has(one[0])]


async def _redrive(
    config: EngineConfig, workflow: Workflow, letters: Sequence[DeadLetter], how: How, as_json: bool
) -> bool:
    """Send letters back and print what became of each; return whether any was refused or not answered."""
    from penstock.client import connections, redriving, workflows

    topics, statuses = await workflows.topics_on(config), []
    async with connections.reader(config) as reader, connections.producer(config) as producer:
        async for outcome in redriving.redrive(reader, producer, workflow, topics, letters, how):
            _print(outcome, as_json)
            statuses.append(outcome["status"])
    if UNANSWERED in statuses:
        say(
            f"penstock: {statuses.count(UNANSWERED)} not answered within {how.within_s:g} s: a worker must be running "
            "(`penstock worker FILE`). The commands stay in the topic and will be carried out"
        )
    return UNANSWERED in statuses or "refused" in statuses


def _check(going: Sequence[DeadLetter], patch: dict[str, Any] | None, yes: bool) -> None:
    """Raise `BadUsage` if the edit cannot be meant, or if nobody can be asked whether so many are."""
    from penstock.client.redrive_records import why_not

    why = None if patch is None else why_not(going, patch)
    if why is not None:
        raise BadUsage(f"--edit: {why}")
    if len(going) < 2 or yes:
        return
    said = f"{len(going)} dead letters go back: at least {len(going)} node executions"
    if not sys.stdin.isatty():
        raise BadUsage(f"{said}: confirm with --yes")
    if not agreed(f"{said}. Go on? [y/N] "):
        raise typer.Abort


def _say_left_alone(letters: Sequence[tuple[DeadLetter, Status]], as_json: bool, run_id: str | None) -> bool:
    """Print what is not sent back and why; return whether a run was asked for of which nothing ever can be."""
    from penstock.client.redriving import outcome_of

    for letter, status in letters:
        if not letter.redrivable:
            _print(
                outcome_of(letter, "not redrivable", reason=f"a record of kind {letter.kind} can only be looked at"),
                as_json,
            )
        elif status != "open":
            _print(outcome_of(letter, "already redriven"), as_json)
    if not letters:
        say("penstock: no such dead letter")
    return run_id is not None and not any(letter.redrivable for letter, _ in letters)


def _print(outcome: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.line(outcome)
        return
    more = {name: value for name, value in outcome.items() if name not in ("run_id", "node", "epoch", "status")}
    said = "  ".join(f"{name} {output.compact(value)}" for name, value in more.items())
    output.text(f"{outcome['run_id']}  {outcome['node'] or '-'}  {outcome['status']}  {said}".rstrip())
