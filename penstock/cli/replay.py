"""`penstock replay`: run the past again, from the input topic or from a node on."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import logs, loops, output, target
from penstock.cli import shadow as shadows
from penstock.cli.asking import agreed, requester
from penstock.cli.errors import FAILED, BadUsage, say
from penstock.cli.options import AsJson, Bootstrap, WorkflowId
from penstock.cli.runs import Status

if TYPE_CHECKING:
    from penstock.client.replay_plan import Before, Estimate, Wanted
    from penstock.client.replaying import How, Progress
    from penstock.client.runs import RunState
    from penstock.client.workflows import Workflow
    from streams.engine.config import EngineConfig

TOLD_S = 2.0
"""Between two lines of progress."""


def replay(
    workflow_id: WorkflowId,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME|OFFSET",
            help="Inputs from then on: earliest, ISO 8601, a span back (-2h, -7d), or an offset of every partition.",
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME|OFFSET", help="Inputs before that. Default: now.")
    ] = None,
    run_id: Annotated[
        list[str] | None, typer.Option("--run-id", metavar="R", help="Only this run; may be repeated.")
    ] = None,
    status: Annotated[Status | None, typer.Option(help="Only runs that stand so.")] = None,
    where: Annotated[
        str | None, typer.Option(metavar="CEL", help="Only runs whose input fits, such as 'input.country == \"NL\"'.")
    ] = None,
    node: Annotated[
        str | None, typer.Option(metavar="N", help="Only this node and what is below it: outputs above it stand.")
    ] = None,
    reuse: Annotated[
        bool, typer.Option("--reuse-responses", help="Ask no model again what it has answered in the run before.")
    ] = False,
    shadow: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Run this version beside the present one, on topics of its own; print what differs. Nothing of production changes.",
        ),
    ] = None,
    with_effects: Annotated[
        bool, typer.Option("--with-effects", help="With --shadow: effects, external nodes and reviews happen, too.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=0.001, metavar="N", help="At most N runs a second.")] = None,
    timeout: Annotated[
        float, typer.Option(min=1, metavar="S", help="Stop waiting when nothing has happened for S seconds.")
    ] = 60,
    again: Annotated[bool, typer.Option("--again", help="Start over, though the same command has run before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Run past runs again in a new epoch each, with the behaviour that the workers have now.

    Interrupted, the same command goes on where it was: no run is sent back twice. --again starts over.
    """
    if start is None and not run_id and status is None and where is None:
        raise BadUsage("say which runs: --from TIME|OFFSET (such as --from earliest), --run-id, --status or --where")
    if shadow is not None and (node is not None or reuse or rate is not None):
        raise BadUsage("--shadow runs whole inputs as fast as they go: not with --node, --reuse-responses or --rate")
    if with_effects and shadow is None:
        raise BadUsage("--with-effects belongs to --shadow FILE")
    from penstock.client.replay_plan import Wanted
    from penstock.client.replaying import How

    wanted = Wanted(tuple(run_id or ()), None if status is None else status.value, _condition(where), node, reuse)
    logs.quiet()
    config = target.config_of(bootstrap)
    workflow, states, known = loops.run(_plan(config, workflow_id, wanted, (start, end), again))
    plan = None if shadow is None else shadows.plan_of(shadow, workflow, known.id)
    left = [state for state in states if state.row.run_id not in known.sent]
    if not _confirmed(left, wanted, known, dry_run=dry_run, yes=yes, as_json=as_json):
        return
    if plan is not None:
        if shadows.run(
            bootstrap, workflow, plan, states, timeout, with_effects=with_effects, again=again, as_json=as_json
        ):
            raise typer.Exit(FAILED)
        return
    how = How(requester(), rate, timeout)
    if loops.run(_replay(config, workflow, left, wanted, known, how, as_json)):
        raise typer.Exit(FAILED)


def _condition(where: str | None) -> Any:
    from topology.expressions import ExpressionError, compile_condition

    if where is None:
        return None
    try:
        return compile_condition(where, ("input",))
    except ExpressionError as error:
        raise BadUsage(f"--where: {error}") from None


async def _plan(
    config: EngineConfig, workflow_id: str, wanted: Wanted, texts: tuple[str | None, str | None], again: bool
) -> tuple[Workflow, list[RunState], Before]:
    from penstock.client import connections, replay_plan, workflows
    from penstock.client.replay_window import bound_of

    topics = await workflows.topics_on(config)
    workflow = workflows.workflow_called(workflow_id, topics)
    if wanted.node is not None and wanted.node not in workflow.nodes:
        raise BadUsage(f"--node: {wanted.node!r} is no node of {workflow_id!r}: {', '.join(workflow.nodes)}")
    now = time.time_ns() // 1_000_000
    async with connections.reader(config) as reader:
        base = wanted.id_with(workflow_id, *texts)
        known = await replay_plan.before(reader, workflow, topics, base, again, now)
        try:
            bounds = bound_of(texts[0], known.began_at), bound_of(texts[1], known.began_at)
        except ValueError as error:
            raise BadUsage(f"--from, --to: {error}") from None
        states, unsure = await replay_plan.select(reader, workflow, topics, wanted, bounds, known.began_at)
    if unsure:
        say(f"penstock: --where cannot be evaluated on {unsure} inputs: their runs are left out")
    return workflow, states, known


def _confirmed(left: list[RunState], wanted: Wanted, known: Before, *, dry_run: bool, yes: bool, as_json: bool) -> bool:
    """Say what the replay takes; return whether it is to be done."""
    from penstock.client.replay_plan import estimate

    found = estimate(left, wanted.node)
    if dry_run:
        output.show({"dry_run": True, **_shown(found, wanted), "sent_before": len(known.sent)}, as_json)
        return False
    said = _said(found, wanted)
    if known.sent:
        said = f"{said}; {len(known.sent)} were sent back before (--again starts over)"
    if not left or yes:
        say(f"penstock: {said}")
        return bool(left) or bool(known.sent)
    if not sys.stdin.isatty():
        raise BadUsage(f"{said}: confirm with --yes")
    if not agreed(f"{said}. Go on? [y/N] "):
        raise typer.Abort
    return True


def _shown(found: Estimate, wanted: Wanted) -> dict[str, Any]:
    return {
        "runs": found.runs,
        "calls": found.calls,
        "cost_usd": found.cost_usd,
        "at_most": wanted.reuse or wanted.node is not None,
    }


def _said(found: Estimate, wanted: Wanted) -> str:
    about = "at most" if wanted.reuse or wanted.node is not None else "about"
    return f"{found.runs} runs again: {about} {found.calls} model calls and {output.cost(found.cost_usd)} dollars"


async def _replay(
    config: EngineConfig,
    workflow: Workflow,
    states: list[RunState],
    wanted: Wanted,
    known: Before,
    how: How,
    as_json: bool,
) -> bool:
    """Send runs back and print how each ended; return whether any did not succeed as a replay: refused, or not ended."""
    from penstock.client import connections, replaying

    progress, told, bad = replaying.Progress(len(states) + len(known.sent)), _Told(), 0
    async with connections.reader(config) as reader, connections.producer(config) as producer:
        async for ended in replaying.replay(reader, producer, workflow, states, wanted, known, how, progress):
            _print(ended, as_json)
            told.now_and_then(progress)
            bad += ended["status"] in ("refused", "unended")
    told.at_the_end(progress)
    if progress.open:
        say(
            f"penstock: {len(progress.open)} have not ended, and nothing has happened for {how.idle_s:g} s: is a worker running "
            "(`penstock worker FILE`)? The commands stay in the topic and will be carried out"
        )
    return bad > 0


class _Told:
    """Says now and then how far a replay is."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def now_and_then(self, progress: Progress) -> None:
        """Say it if the last time is long enough ago."""
        if time.monotonic() - self._last >= TOLD_S:
            self._last = time.monotonic()
            self.at_the_end(progress)

    def at_the_end(self, progress: Progress) -> None:
        """Say it."""
        took = max(1e-3, time.monotonic() - self._began)
        rate = progress.ended / took
        left = progress.total - progress.ended
        eta = f", {left / rate:.0f} s to go" if left and rate else ""
        say(f"penstock: {progress.ended} of {progress.total} runs, {rate:.1f} a second{eta}")


def _print(ended: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.line(ended)
        return
    epoch = "" if ended["epoch"] is None else f"  epoch {ended['epoch']}"
    output.text(f"{ended['run_id']}  {ended['status']}{epoch}  {ended.get('reason', '')}".rstrip())
