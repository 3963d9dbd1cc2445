"""`penstock cancel`: end a run before its time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import logs, loops, output, target
from penstock.cli.asking import look
from penstock.cli.errors import FAILED, say
from penstock.cli.options import AsJson, Bootstrap, OfWorkflow, RunId

if TYPE_CHECKING:
    from streams.engine.config import EngineConfig

CANCELLED = "cancelled"


def cancel(
    run_id: RunId,
    workflow: OfWorkflow = None,
    timeout: Annotated[float, typer.Option(min=0, metavar="S", help="How long to wait for the run to end.")] = 30,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a run and wait until it has ended: nodes that did not end yet never will. Exit 1 if it ended otherwise before."""
    logs.quiet()
    config = target.config_of(bootstrap)
    sent, status = loops.asking(_cancel(config, run_id, workflow, timeout), config, "command", workflow)
    output.show({"run_id": run_id, "status": status}, as_json)
    if not sent:
        say(f"penstock: run {run_id!r} is finished already: {status}")
    elif status == "running":
        say(f"penstock: the cancel is published, but the run has not ended within {timeout:g} s: does a worker run?")
    if not sent or status != CANCELLED:
        raise typer.Exit(FAILED)


async def _cancel(config: EngineConfig, run_id: str, workflow_id: str | None, within_s: float) -> tuple[bool, str]:
    """Return whether the command was sent, and how the run stands."""
    from penstock.client import connections, publishing, runs

    known = await look(config, workflow_id)
    async with connections.reader(config) as reader:
        state = await runs.find_run(reader, known, run_id)
        if state.row.status != "running":
            return False, state.row.status
        async with connections.producer(config) as producer:
            body, trace = {"type": "cancel", "run_id": run_id}, state.row.traceparent
            await publishing.command(producer, state.workflow.id, run_id, body, trace)
        try:
            async with asyncio.timeout(within_s):
                return True, await runs.until_ended(reader, state)
        except TimeoutError:
            return True, state.row.status
