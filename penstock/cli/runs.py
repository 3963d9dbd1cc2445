"""`penstock runs`: the state of runs, as the workers have it."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from penstock.cli import logs, loops, output, resolve, target
from penstock.cli.asking import look, patch_of
from penstock.cli.errors import BadUsage
from penstock.cli.options import AsJson, Bootstrap, OfWorkflow, RunId

if TYPE_CHECKING:
    from penstock.client.runs import RunState
    from streams.engine.config import EngineConfig

app = typer.Typer(help="The state of runs.", no_args_is_help=True)


class Status(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    STOPPED = "stopped"
    CANCELLED = "cancelled"


@app.command("list")
def list_(
    workflow: Annotated[str | None, typer.Option(metavar="ID", help="Only runs of this workflow.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only runs that stand so.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    from penstock.client.views import summary_of

    logs.quiet()
    config = target.config_of(bootstrap)
    states = loops.asking(_list(config, workflow), config, "look", workflow)
    found = [summary_of(state) for state in states if status is None or state.row.status == status.value][:limit]
    if as_json:
        for summary in found:
            output.line(summary)
        return
    columns = ("run_id", "workflow_id", "status", "started_at", "duration_ms", "tokens", "cost_usd")
    output.table(columns, [[_cell(summary, column) for column in columns] for summary in found])


@app.command()
def show(
    run_id: RunId,
    workflow: OfWorkflow = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|OFFSET",
            help="As of then: ISO 8601, a span back (-10m), or an offset of the run's partition of its run journal.",
        ),
    ] = None,
    resolved: resolve.Resolve = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show a run: how every node stands, with attempts, errors, hashes, times and usage. With --at as it stood then."""
    from penstock.client.views import detail_of

    then = None if at is None else int(at) if at.isdecimal() else _time(at)
    logs.quiet()
    config = target.config_of(bootstrap)
    looking = _show(config, run_id, workflow, then, is_offset=at is not None and at.isdecimal())
    detail = detail_of(loops.asking(looking, config, "look", workflow))
    if resolved:
        detail = loops.run(resolve.detail(config.claims, detail))
    if as_json:
        output.line(detail)
        return
    nodes: dict[str, dict[str, Any]] = detail.pop("nodes")
    output.fields(detail)
    columns = ("node", "status", "attempts", "started_at", "finished_at", "tokens", "cost_usd", "model", "result")
    output.table(columns, [[_cell({"node": node, **of}, column) for column in columns] for node, of in nodes.items()])


@app.command()
def fork(
    run_id: RunId,
    start: Annotated[str, typer.Option("--from", metavar="NODE", help="This node and what is below it run anew.")],
    edit: Annotated[
        str | None,
        typer.Option(
            metavar="JSON", help="A JSON merge patch of {input: ..., NODE: ...}: the input, and outputs taken over."
        ),
    ] = None,
    new_id: Annotated[
        str | None, typer.Option("--run-id", metavar="ID", help="The id of the new run; default: a new one.")
    ] = None,
    workflow: OfWorkflow = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Start a new run that takes over what succeeded above a node, and runs from that node on."""
    from schemas.ids import is_run_id

    patch = patch_of(edit, 'the input and outputs that are taken over, such as {"input": {"n": 1}}')
    if new_id is not None and not is_run_id(new_id):
        raise BadUsage(
            f"--run-id: {new_id!r} is no run id: 1 to 200 printable characters, no '/', no blanks at the ends"
        )
    logs.quiet()
    made = loops.run(_fork(target.config_of(bootstrap), run_id, workflow, start, patch, new_id or uuid4().hex))
    output.show(made, as_json)


async def _fork(
    config: EngineConfig, run_id: str, workflow_id: str | None, node: str, patch: dict[str, Any] | None, new_id: str
) -> dict[str, Any]:
    from penstock.client import connections, forking

    state = await _show(config, run_id, workflow_id, None, is_offset=False)
    async with connections.reader(config) as reader, connections.producer(config) as producer:
        found = await forking.fork_of(reader, state, node)
        unknown = sorted(set(patch or ()) - set(found.sees))
        if unknown:
            raise BadUsage(f"--edit: {unknown[0]!r} is not taken over; what is: {', '.join(found.sees)}")
        now = time.time_ns() // 1_000_000
        made = await forking.start(producer, state.workflow, found.edited(patch), new_id, now)
    return {"run_id": made.run_id, "forked_from": run_id, "from": node, "reused": sorted(found.ends)}


async def _list(config: EngineConfig, workflow_id: str | None) -> list[RunState]:
    from penstock.client import connections, runs

    known = await look(config, workflow_id)
    async with connections.reader(config) as reader:
        return await runs.list_runs(reader, known)


def _time(at: str) -> int | None:
    found = target.begin(at, "--at")
    if found == "earliest":
        raise BadUsage("--at: a time or an offset; at the earliest there was no run")
    return None if found == "latest" else int(found)


async def _show(
    config: EngineConfig, run_id: str, workflow_id: str | None, at: int | None, *, is_offset: bool
) -> RunState:
    from penstock.client import connections, runs

    known = await look(config, workflow_id)
    async with connections.reader(config) as reader:
        state = await runs.find_run(reader, known, run_id)
        if at is None:
            return await runs.with_nodes(reader, state)
        return await runs.as_of(reader, state, await runs.time_at(reader, state, at) if is_offset else at)


def _cell(of: dict[str, Any], column: str) -> object:
    match column:
        case "tokens":
            return of["usage"]["total_tokens"]
        case "cost_usd":
            return output.cost(of["cost_usd"])
        case "result" if of["error"] is not None:
            return f"{of['error']['kind']}: {of['error']['message']}"
        case "result":
            return None if of["output"] is None else output.compact(of["output"])
        case _:
            return of[column]
