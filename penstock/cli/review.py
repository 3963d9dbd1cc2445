"""`penstock review`: what waits for a person, and the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import logs, loops, output, target
from penstock.cli.asking import look, patch_of, requester
from penstock.cli.errors import FAILED, say
from penstock.cli.options import AsJson, Bootstrap, OfWorkflow, RunId

if TYPE_CHECKING:
    from penstock.client.reviews import Review
    from streams.engine.config import EngineConfig

app = typer.Typer(help="Decisions that wait for a person.", no_args_is_help=True)

Node = Annotated[str, typer.Argument(metavar="NODE", help="The node that waits.", show_default=False)]
Comment = Annotated[str | None, typer.Option(metavar="TEXT", help="Why; it is recorded with the decision.")]
Edit = Annotated[
    str | None, typer.Option(metavar="JSON", help="A JSON merge patch of what is approved, within the form_schema.")
]
Reviewer = Annotated[
    str | None, typer.Option(metavar="NAME", help="Who decides. Default: the user of this machine.", show_default=False)
]
Epoch = Annotated[int | None, typer.Option(min=0, help="The epoch that was shown. Default: the one that waits now.")]
Hash = Annotated[str | None, typer.Option(help="The hash of what was shown. Default: of what waits now.")]
Timeout = Annotated[float, typer.Option(min=0, metavar="S", help="How long to wait for the workers' answer.")]


@app.command("list")
def list_(
    workflow: Annotated[str | None, typer.Option(metavar="ID", help="Only reviews of this workflow.")] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """List the reviews that wait, the one that is due first at the top."""
    logs.quiet()
    found = [review.summary() for review in loops.run(_waiting(target.config_of(bootstrap), workflow))]
    if as_json:
        for summary in found:
            output.line(summary)
        return
    columns = ("run_id", "workflow_id", "node", "assignees", "reason", "requested_at", "due_at")
    rows = [{**summary, "assignees": ", ".join(summary["assignees"]) or "anybody"} for summary in found]
    output.table(columns, [[row[column] for column in columns] for row in rows])


@app.command()
def show(
    run_id: RunId, node: Node, workflow: OfWorkflow = None, bootstrap: Bootstrap = None, as_json: AsJson = False
) -> None:
    """Show what is to be decided on, with the epoch and the hash that bind a decision to it."""
    logs.quiet()
    review = loops.run(_review(target.config_of(bootstrap), run_id, node, workflow))
    output.show(review.detail(), as_json)


@app.command()
def approve(
    run_id: RunId,
    node: Node,
    comment: Comment = None,
    edit: Edit = None,
    reviewer: Reviewer = None,
    workflow: OfWorkflow = None,
    epoch: Epoch = None,
    hash: Hash = None,
    timeout: Timeout = 30,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Let the run go on. Exit 1 if the decision is refused: it was decided before, came too late, or means something else."""
    said = {
        "decision": "approve",
        "comment": comment,
        "edit": patch_of(edit, "what is approved"),
        "epoch": epoch,
        "hash": hash,
    }
    _decide(target.config_of(bootstrap), run_id, node, workflow, {**said, "reviewer": reviewer}, timeout, as_json)


@app.command()
def reject(
    run_id: RunId,
    node: Node,
    comment: Comment = None,
    edit: Edit = None,
    reviewer: Reviewer = None,
    workflow: OfWorkflow = None,
    epoch: Epoch = None,
    hash: Hash = None,
    timeout: Timeout = 30,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Fail the node: what depends on it does not run. Exit 1 if the decision is refused."""
    said = {
        "decision": "reject",
        "comment": comment,
        "edit": patch_of(edit, "what is rejected: what should have been"),
        "epoch": epoch,
        "hash": hash,
    }
    _decide(target.config_of(bootstrap), run_id, node, workflow, {**said, "reviewer": reviewer}, timeout, as_json)


def _decide(
    config: EngineConfig,
    run_id: str,
    node: str,
    workflow: str | None,
    said: dict[str, Any],
    within_s: float,
    as_json: bool,
) -> None:
    logs.quiet()
    outcome = loops.asking(_send(config, run_id, node, workflow, said, within_s), config, "command", workflow)
    output.show(outcome, as_json)
    if outcome["status"] == "unanswered":
        say(
            f"penstock: not answered within {within_s:g} s: a worker must be running (`penstock worker FILE`). "
            "The decision stays in the topic and will be taken up"
        )
    if outcome["status"] in ("refused", "unanswered"):
        raise typer.Exit(FAILED)


async def _waiting(config: EngineConfig, workflow_id: str | None) -> list[Review]:
    from penstock.client import connections, reviews

    known = await look(config, workflow_id)
    async with connections.reader(config) as reader:
        return await reviews.waiting(reader, known)


async def _review(config: EngineConfig, run_id: str, node: str, workflow_id: str | None) -> Review:
    from penstock.client import connections, reviews, runs

    known = await look(config, workflow_id)
    async with connections.reader(config) as reader:
        state = await runs.with_nodes(reader, await runs.find_run(reader, known, run_id))
        return await reviews.review_of(reader, state, node)


async def _send(
    config: EngineConfig, run_id: str, node: str, workflow_id: str | None, said: dict[str, Any], within_s: float
) -> dict[str, Any]:
    """Publish a decision on what waits now; where nothing does, the workers say so, and it is recorded that it was tried."""
    from penstock.client import connections, reviews, runs, workflows
    from penstock.client.errors import NoReview

    topics = await workflows.topics_on(config)
    known = await look(config, workflow_id, topics)
    async with connections.reader(config) as reader, connections.producer(config) as producer:
        state = await runs.with_nodes(reader, await runs.find_run(reader, known, run_id))
        try:
            asked = (await reviews.review_of(reader, state, node)).request
            current: dict[str, Any] = {"epoch": asked.epoch, "hash": asked.hash}
        except NoReview:
            if node not in state.workflow.nodes:
                raise
            current = {}
        own = {key: value for key, value in said.items() if value is not None}
        command = {"type": "review", "run_id": run_id, "node": node, "reviewer": requester(), **current, **own}
        trace = state.row.traceparent
        return await reviews.decide(reader, producer, state.workflow, topics, command, within_s, trace)
