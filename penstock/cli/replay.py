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
from penstock.cli.progress import progress
from penstock.cli.runs import Status

if TYPE_CHECKING:
    from penstock.client.replay_plan import Before, Estimate, Selection, Wanted
    from penstock.client.runs import RunState
    from penstock.client.workflows import Workflow
    from streams.engine.config import EngineConfig

IDLE_S = 60.0
"""How long nothing may happen unless told otherwise."""


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
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="With --shadow: go on with new runs as production ends them, until Ctrl-C or SIGTERM."
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="With --shadow: write a page with the differences to look through."),
    ] = None,
    with_effects: Annotated[
        bool, typer.Option("--with-effects", help="With --shadow: effects, external nodes and reviews happen, too.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=0.001, metavar="N", help="At most N runs a second.")] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="S",
            help="Stop waiting when nothing has happened for S seconds. Default: 60, with --live never.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Start over, though the same command has run before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Run past runs again in a new epoch each, with the behaviour that the workers have now.

    Interrupted, the same command goes on where it was: no run is sent back twice. --again starts over.
    """
    if start is None and not run_id and status is None and where is None and not live:
        raise BadUsage("say which runs: --from TIME|OFFSET (such as --from earliest), --run-id, --status or --where")
    _refuse_mixed(
        shadow, live=live, others=bool(report or with_effects), past_only=bool(end or run_id or status), node=node
    )
    from penstock.client.replay_plan import Wanted

    wanted = Wanted(tuple(run_id or ()), None if status is None else status.value, _condition(where), node, reuse)
    bounds = ("latest" if live and start is None else start, end)
    logs.quiet()
    config = target.config_of(bootstrap)
    if shadow is None:
        workflow, selection, known = loops.asking(
            _plan(config, workflow_id, wanted, bounds, again), config, "command", workflow_id
        )
        left = [state for state in selection.states if state.row.run_id not in known.sent]
        if not _confirmed(left, wanted, len(known.sent), dry_run=dry_run, yes=yes, as_json=as_json):
            return
        sending = _replay(config, workflow, left, wanted, known, (rate, timeout or IDLE_S), as_json)
        if loops.asking(sending, config, "command", workflow_id):
            raise typer.Exit(FAILED)
        return
    idle_s = timeout if timeout or live else IDLE_S
    options = shadows.Options(shadow, live, with_effects, reuse, report, rate, idle_s)
    workflow, selection, known = loops.asking(
        _plan(config, workflow_id, wanted, bounds, again, f"shadow {with_effects}"), config, "look", workflow_id
    )
    plan = shadows.plan_of(options, workflow, known.id)
    done = set() if again else shadows.done_before(config, plan, selection)
    left = [state for state in selection.states if state.row.run_id not in done]
    if _confirmed(left, wanted, len(done), dry_run=dry_run, yes=yes, as_json=as_json, live=live) and shadows.run(
        bootstrap, workflow, plan, selection, wanted.where, options, again=again, as_json=as_json
    ):
        raise typer.Exit(FAILED)


def _refuse_mixed(shadow: Path | None, *, live: bool, others: bool, past_only: bool, node: str | None) -> None:
    """Refuse options that do not go together."""
    if shadow is None and (live or others):
        raise BadUsage("--live, --report and --with-effects belong to --shadow FILE")
    if shadow is not None and node is not None:
        raise BadUsage("--shadow runs inputs as a whole: not with --node")
    if live and past_only:
        raise BadUsage("--live goes on with new runs: not with --to, --run-id or --status, which are about past ones")


def _condition(where: str | None) -> Any:
    from topology.expressions import ExpressionError, compile_condition

    if where is None:
        return None
    try:
        return compile_condition(where, ("input",))
    except ExpressionError as error:
        raise BadUsage(f"--where: {error}") from None


async def _plan(
    config: EngineConfig,
    workflow_id: str,
    wanted: Wanted,
    texts: tuple[str | None, str | None],
    again: bool,
    *more: str,
) -> tuple[Workflow, Selection, Before]:
    from penstock.client import connections, replay_plan, workflows
    from penstock.client.replay_window import bound_of

    topics = await workflows.topics_on(config)
    workflow = workflows.workflow_called(workflow_id, topics)
    if wanted.node is not None and wanted.node not in workflow.nodes:
        raise BadUsage(f"--node: {wanted.node!r} is no node of {workflow_id!r}: {', '.join(workflow.nodes)}")
    now = time.time_ns() // 1_000_000
    async with connections.reader(config) as reader:
        base = wanted.id_with(workflow_id, *texts, *more)
        known = await replay_plan.before(reader, workflow, topics, base, again, now)
        try:
            bounds = bound_of(texts[0], known.began_at), bound_of(texts[1], known.began_at)
        except ValueError as error:
            raise BadUsage(f"--from, --to: {error}") from None
        selection = await replay_plan.select(reader, workflow, topics, wanted, bounds, known.began_at)
    if selection.unsure:
        say(f"penstock: --where cannot be evaluated on {selection.unsure} inputs: their runs are left out")
    return workflow, selection, known


def _confirmed(
    left: list[RunState], wanted: Wanted, done: int, *, dry_run: bool, yes: bool, as_json: bool, live: bool = False
) -> bool:
    """Say what the replay takes; return whether it is to be done."""
    from penstock.client.replay_plan import estimate

    found = estimate(left, wanted.node)
    if dry_run:
        output.show({"dry_run": True, **_shown(found, wanted), "sent_before": done}, as_json)
        return False
    said = _said(found, wanted)
    if live:
        said = f"{said}, and new runs as they end"
    if done:
        said = f"{said}; {done} were sent back before (--again starts over)"
    if yes or not (left or live):
        say(f"penstock: {said}")
        return bool(left or done or live)
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
    pace: tuple[float | None, float],
    as_json: bool,
) -> bool:
    """Send runs back and print how each ended; return whether any did not succeed as a replay: refused, or not ended."""
    from penstock.client import connections, replaying

    how = replaying.How(requester(), *pace)
    heard, bad = replaying.Progress(len(states) + len(known.sent)), 0
    async with connections.reader(config) as reader, connections.producer(config) as producer:
        with progress(workflow.id, heard.total) as advance:
            async for ended in replaying.replay(reader, producer, workflow, states, wanted, known, how, heard):
                _print(ended, as_json)
                advance(heard.ended)
                bad += ended["status"] in ("refused", "unended")
    if heard.open:
        say(
            f"penstock: {len(heard.open)} have not ended, and nothing has happened for {how.idle_s:g} s: is a worker running "
            "(`penstock worker FILE`)? The commands stay in the topic and will be carried out"
        )
    return bad > 0


def _print(ended: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.line(ended)
        return
    epoch = "" if ended["epoch"] is None else f"  epoch {ended['epoch']}"
    output.text(f"{ended['run_id']}  {ended['status']}{epoch}  {ended.get('reason', '')}".rstrip())
