"""`penstock consume`: results from a workflow's output topic."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import logs, loops, output, resolve, target
from penstock.cli.errors import FAILED, say
from penstock.cli.options import AsJson, Bootstrap, WorkflowId

if TYPE_CHECKING:
    from penstock.client.times import Begin
    from streams.engine.config import EngineConfig


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read: up to `count` results (None: no end), of one run or of all."""

    workflow_id: str
    begin: Begin
    count: int | None
    run_id: str | None
    as_json: bool
    tokens: bool
    resolve: bool = False


def consume(
    workflow_id: WorkflowId,
    begin: Annotated[
        str,
        typer.Option(
            "--from", metavar="TIME", help="earliest, latest, an ISO 8601 time, or a span back: -30m, -2h, -7d."
        ),
    ] = "earliest",
    count: Annotated[
        int | None,
        typer.Option("--max", min=1, help="End after so many results. Default: 1 with --run-id, else no end."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, metavar="S", help="End after S seconds; exit 1 if --max or --run-id is not met."),
    ] = None,
    run_id: Annotated[str | None, typer.Option(metavar="ID", help="Only the result of this run; waits for it.")] = None,
    tokens: Annotated[
        bool,
        typer.Option("--tokens", help="Not results: what models of nodes with `stream: true` say, as they say it."),
    ] = False,
    resolved: resolve.Resolve = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Print results as they come: until --max, --timeout or Ctrl-C."""
    where = target.begin(begin, "--from")
    logs.quiet()
    config = target.config_of(bootstrap)
    wanted = Wanted(
        workflow_id, where, count or (1 if run_id and not tokens else None), run_id, as_json, tokens, resolved
    )
    try:
        missing = loops.asking(_consume(config, wanted, timeout), config, "consume", workflow_id)
    except KeyboardInterrupt:
        if wanted.count is None:
            return  # the usual end of reading without end
        raise
    if missing:
        say(f"penstock: {missing} {'delta' if tokens else 'result'}(s) did not come within {timeout or 0:g} s")
        raise typer.Exit(FAILED)


async def _consume(config: EngineConfig, wanted: Wanted, within_s: float | None) -> int:
    """Print what is wanted; return how many results are missing when the time is over."""
    from penstock.client import connections, reading, workflows
    from penstock.client.results import results
    from penstock.client.tokens import deltas

    topics = await workflows.topics_on(config)
    topic = workflows.output_of(wanted.workflow_id, topics)
    if wanted.tokens:
        topic = workflows.tokens_of(wanted.workflow_id, topics)
    read, show = (
        (deltas, _Shown(wanted.as_json).show) if wanted.tokens else (results, partial(_print, as_json=wanted.as_json))
    )
    missing = wanted.count
    async with connections.reader(config) as reader:
        async with connections.answering(config):
            await reading.begin(reader, _places(topic, topics[topic], wanted.run_id), wanted.begin)
        try:
            async with asyncio.timeout(within_s):
                async for found in read(reader, wanted.run_id):
                    show(await resolve.result(config.claims, found) if wanted.resolve and not wanted.tokens else found)
                    missing = None if missing is None else missing - 1
                    if missing == 0:
                        break
        except TimeoutError:
            pass
    return missing or 0


class _Shown:
    """Prints deltas: as they are, or as growing text under a line that says whose it is."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._of: tuple[Any, ...] | None = None

    def show(self, delta: dict[str, Any]) -> None:
        """Print one."""
        if self._as_json:
            output.line(delta)
            return
        of = tuple(delta[key] for key in ("run_id", "node", "epoch", "attempt", "launch"))
        if of != self._of:  # another text, or the same one from its beginning
            begun = "" if self._of is None else "\n"
            output.piece(f"{begun}--- {delta['run_id']}  {delta['node']}  attempt {delta['attempt']}\n")
            self._of = of
        output.piece(delta["delta"])


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.line(result)
    else:
        output.text(one_line(result))


def _places(topic: str, count: int, run_id: str | None) -> list[Any]:
    from penstock.client import reading
    from streams.engine.partitions import partition_of

    places = reading.places_of(topic, count)
    return places if run_id is None else [places[partition_of(run_id.encode(), count)]]


def one_line(result: dict[str, Any]) -> str:
    """Return a result for people to read: its outputs, or what went wrong."""
    errors = {node: error for node, of in result.get("nodes", {}).items() if (error := of.get("error"))}
    said = result.get("outputs") or errors
    return f"{result.get('run_id')}  {result.get('status')}  {result.get('duration_ms')} ms  {output.compact(said)}"
