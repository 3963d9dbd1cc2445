"""`penstock dead-letter`: what failed for good: look at it, mend it, send it back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import typer

from penstock.cli import logs, loops, output, redrive, target
from penstock.cli.errors import FAILED, say
from penstock.cli.options import AsJson, Bootstrap, WorkflowId

if TYPE_CHECKING:
    from penstock.client.dead_letter import DeadLetter
    from penstock.client.dead_letters import Selection
    from streams.engine.config import EngineConfig

app = typer.Typer(help="What failed for good: inspect, edit, send back.", no_args_is_help=True)
app.command()(redrive.redrive)

SHOWN = 80
"""Characters of a message in the list; `show` and `--json` have all."""


@app.command("list")
def list_(
    workflow_id: WorkflowId,
    run_id: redrive.OfRun = None,
    node: redrive.OfNode = None,
    kind: redrive.OfKind = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the oldest first. `open`: not sent back yet."""
    from penstock.client.dead_letters import Selection

    logs.quiet()
    config = target.config_of(bootstrap)
    looking = redrive.found(config, workflow_id, Selection(run_id, node, kind), values=False)
    _, found = loops.asking(looking, config, "look", workflow_id)
    summaries = [_summary(letter, status) for letter, status in found]
    if as_json:
        for summary in summaries:
            output.line(summary)
        return
    columns = ("run_id", "node", "epoch", "kind", "attempt", "at", "dead_letter", "status", "message")
    output.table(columns, [[_cell(summary, column) for column in columns] for summary in summaries])


@app.command()
def show(
    workflow_id: WorkflowId,
    run_id: redrive.OfRun = None,
    node: redrive.OfNode = None,
    kind: redrive.OfKind = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show dead letters whole: what the node saw, why it failed, what the model said, who sent it back since."""
    from penstock.client.dead_letters import Selection

    logs.quiet()
    config = target.config_of(bootstrap)
    looking = _details(config, workflow_id, Selection(run_id, node, kind))
    details = loops.asking(looking, config, "look", workflow_id)
    for number, detail in enumerate(details):
        if number and not as_json:
            output.text("")
        output.show(detail, as_json)
    if not details:
        say("penstock: no such dead letter")
        raise typer.Exit(FAILED)


async def _details(config: EngineConfig, workflow_id: str, selection: Selection) -> list[dict[str, Any]]:
    from penstock.client import connections, dead_letter_details

    workflow, found = await redrive.found(config, workflow_id, selection)
    async with connections.reader(config) as reader:
        journals = await dead_letter_details.journals(reader, workflow, [letter for letter, _ in found])
    return [_summary(letter, status) | journals.detail_of(letter) for letter, status in found]


def _summary(letter: DeadLetter, status: str) -> dict[str, Any]:
    from streams.core.dead_letter import iso

    return {
        "run_id": letter.run_id,
        "node": letter.node,
        "epoch": letter.epoch,
        "kind": letter.kind,
        "message": letter.cause("message"),
        "attempt": letter.attempt,
        "at": iso(letter.timestamp),
        "status": status,
        "dead_letter": {"partition": letter.at.partition, "offset": letter.at.offset},
        "source": None if letter.source is None else dataclasses.asdict(letter.source),
    }


def _cell(summary: dict[str, Any], column: str) -> object:
    match column:
        case "dead_letter":
            return f"{summary[column]['partition']}/{summary[column]['offset']}"
        case "message":
            text = " ".join((summary[column] or "").split())
            return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
        case _:
            return summary[column]
