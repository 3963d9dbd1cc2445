"""`penstock repartition`: a drained workflow to another partition count."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import logs, loops, output, target, workflow_files
from penstock.cli.asking import agreed
from penstock.cli.errors import BadUsage, say
from penstock.cli.options import AsJson, Bootstrap

if TYPE_CHECKING:
    from penstock.client.repartition.look import Look
    from streams.engine.config import EngineConfig


def repartition(
    workflow: Annotated[
        str, typer.Argument(metavar="FILE|WORKFLOW_ID", help="The workflow's file, or its id.", show_default=False)
    ],
    partitions: Annotated[int, typer.Option(min=1, help="The partition count it is to have.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Move a drained workflow to more, or fewer, partitions: its topics are made anew, each run in the partition that is its then.

    Stop all workers first; inputs may be published meanwhile. Records keep key, value, headers and time. Interrupted, the same command goes on.
    """
    logs.quiet()
    config = target.config_of(bootstrap)
    if config.wire is not None:
        config = replace(config, wire=config.wire.copying())
    asked = Asked(_id_of(workflow), partitions, dry_run, yes, as_json)
    loops.run(_repartition(config, asked))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for."""

    workflow: str
    partitions: int
    dry_run: bool
    yes: bool
    as_json: bool


def _id_of(workflow: str) -> str:
    """Return the id that a file says, else what was given."""
    path = Path(workflow)
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return workflow_files.runnable(path, None).id
    return workflow


async def _repartition(config: EngineConfig, asked: Asked) -> None:
    from penstock.client import workflows
    from penstock.client.repartition import copying
    from penstock.client.repartition.drained import require_drained
    from penstock.client.repartition.look import look
    from penstock.client.repartition.move import Mover
    from streams.engine.clients import connected_admin

    topics = await workflows.topics_on(config)
    async with connected_admin(config) as admin, copying.reader(config) as reader:
        found = await look(admin, reader, asked.workflow, topics)
        move = found.under_way
        if move is not None and move.partitions != asked.partitions:
            raise BadUsage(
                f"a move of workflow {asked.workflow!r} to {move.partitions} partitions was interrupted: finish it first, with "
                f"--partitions {move.partitions}"
            )
        if found.has(asked.partitions):
            say(f"workflow {asked.workflow!r} has {asked.partitions} partitions: there is nothing to move")
            _print(asked, found, 0, "nothing to do")
            return
        if found.layout is not None:
            await require_drained(admin, reader, found.layout)
        _say_plan(found, asked)
        if asked.dry_run:
            _print(asked, found, sum(found.records.values()), "dry run")
            return
        _confirm(found, asked)
        mover = Mover(config, admin, reader, asked.workflow, say)
        _print(asked, found, await mover.carry_out(found, asked.partitions), "done")


def _say_plan(found: Look, asked: Asked) -> None:
    if found.layout is None:
        say(f"a move of workflow {asked.workflow!r} was interrupted after its copies were made: it goes on")
        return
    counts = ", ".join(map(str, found.partitions))
    say(
        f"workflow {asked.workflow!r}: {len(found.records)} topics with {sum(found.records.values())} records are made anew, "
        f"from {counts} to {asked.partitions} partitions. Input, control and dead letters stay as they are"
    )
    if found.readers:
        said = ", ".join(found.readers)
        say(f"the output topic is made anew, too: groups lose their position in it and begin anew there: {said}")


def _confirm(found: Look, asked: Asked) -> None:
    if asked.yes:
        return
    if not sys.stdin.isatty():
        raise BadUsage("topics are deleted and made anew: confirm with --yes, or look first with --dry-run")
    if not agreed("Go on? [y/N] "):
        raise typer.Exit(1)


def _print(asked: Asked, found: Look, records: int, outcome: str) -> None:
    line: dict[str, Any] = {
        "workflow": asked.workflow,
        "from": list(found.partitions),
        "partitions": asked.partitions,
        "topics": sorted(found.records),
        "records": records,
        "outcome": outcome,
    }
    if asked.as_json:
        output.line(line)
    elif outcome == "done":
        output.text(f"{asked.workflow}: {asked.partitions} partitions, {records} records")
