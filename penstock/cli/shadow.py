"""`penstock replay --shadow`: another version of a workflow beside the present one, and what differs."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.cli import loops, models, shadow_report, target, workflow_files
from penstock.cli.errors import BadUsage, say
from penstock.cli.progress import progress

if TYPE_CHECKING:
    from penstock.client.replay_plan import Selection
    from penstock.client.shadow_feed import Meant
    from penstock.client.shadow_run import Shadow
    from penstock.client.workflows import Workflow
    from streams.engine.config import EngineConfig
    from topology.expressions import Condition
    from topology.plan import WorkflowPlan

DRAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a shadow is told; `idle_s` None: it ends when it is told to."""

    file: Path
    live: bool = False
    with_effects: bool = False
    reuse: bool = False
    report: Path | None = None
    rate: float | None = None
    idle_s: float | None = None


def plan_of(options: Options, workflow: Workflow, key: str) -> WorkflowPlan:
    """Return the plan that runs as a shadow of `workflow`; BadUsage if the file is another workflow's, or has no model to ask."""
    from penstock import settings
    from penstock.client.shadow import shadow_id
    from topology.compile import in_json
    from topology.load import load_workflow

    own = workflow_files.runnable(options.file, workflow.partitions)
    if own.id != workflow.id:
        raise BadUsage(f"--shadow: {str(options.file)!r} is of workflow {own.id!r}, not of {workflow.id!r}")
    workflow_files.check_handlers(own)
    if models.needs_model(own) and not settings.load().has_provider:
        raise BadUsage(
            "--shadow: no provider is configured: set OPENAI_API_KEY or OPENAI_BASE_URL, or a provider in penstock.toml"
        )
    if options.report is not None and not options.report.absolute().parent.is_dir():
        raise BadUsage(f"--report: {str(options.report)!r} cannot be written: there is no such folder")
    called = shadow_id(workflow.id, f"{own.plan_hash[:6]}{key}")
    return in_json(load_workflow(options.file, partitions=workflow.partitions, called=called).require_plan())


def done_before(config: EngineConfig, plan: WorkflowPlan, selection: Selection) -> set[str]:
    """Return which of the runs an earlier call of the same command has done already."""
    return set(loops.run(_done_before(config, plan, {state.row.run_id for state in selection.states})))


async def _done_before(config: EngineConfig, plan: WorkflowPlan, ids: set[str]) -> set[str]:
    from penstock.client import connections, shadow_run, workflows

    topics = await workflows.topics_on(config)
    async with connections.reader(config) as reader:
        return set(await shadow_run.results_of(reader, plan.id, topics, ids))


def run(
    bootstrap: str | None,
    workflow: Workflow,
    plan: WorkflowPlan,
    selection: Selection,
    where: Condition | None,
    options: Options,
    *,
    again: bool,
    as_json: bool,
) -> bool:
    """Run the shadow, print a line per run and the summary; return whether any run of the past has no result."""
    from penstock import settings
    from penstock.client import shadow as shadows
    from penstock.client.shadow_run import Shadow

    known = settings.load()
    address = target.outside(bootstrap, known) or target.embedded(known)
    stubbed, reaching = (plan, frozenset[str]()) if options.with_effects else shadows.stubbed(plan)
    shadow = Shadow(workflow, stubbed, reaching, options.reuse, options.rate)
    with ExitStack() as stack:
        stack.enter_context(loops.terminable())
        config = target.worker_config(address, known, workflow.partitions, None, DRAIN_S)
        if config.wire is not None:
            config = replace(config, wire=config.wire.only_reading())
        meant = loops.run(_meant(config, selection, where, options.live))
        advance = stack.enter_context(progress(workflow.id, None if options.live else len(meant.past)))
        told = stack.enter_context(shadow_report.told(workflow.id, plan, options, as_json, advance))
        loops.run(_run(config, shadow, meant, told, options, again))
        told.end()
    _say_left(meant, options)
    return meant.left > 0


async def _meant(config: EngineConfig, selection: Selection, where: Condition | None, live: bool) -> Meant:
    from penstock.client import connections
    from penstock.client.replay_plan import inputs_of
    from penstock.client.shadow_feed import Meant, Past
    from schemas.codec import dumps

    rows = [state.row for state in selection.states]
    async with connections.reader(config) as reader:
        inputs = await inputs_of(reader, rows)
    past = {row.run_id: Past(row, dumps(inputs[row.run_id])) for row in rows}
    return Meant(past, selection.known, selection.began_at, live, where)


async def _run(
    config: EngineConfig, shadow: Shadow, meant: Meant, told: shadow_report.Told, options: Options, again: bool
) -> None:
    from penstock import settings
    from penstock.client.deleting import delete_workflow
    from penstock.client.shadow_run import run_shadow
    from streams.nodes import Resources

    if again:
        await delete_workflow(shadow.plan, config)
    resources = Resources(models.configured(settings.load()))
    try:
        with _stopping(options.live) as stop:
            work = run_shadow(shadow, meant, config, resources, told)
            await _until_done(work, told, stop, options.idle_s)
    finally:
        await resources.aclose()
    if not meant.left:
        await delete_workflow(shadow.plan, config)


@contextmanager
def _stopping(live: bool) -> Iterator[asyncio.Event]:
    """Yield what Ctrl-C and SIGTERM set, once, where they are how it is to end; elsewhere they interrupt."""
    stop = asyncio.Event()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def end() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    if not live:
        yield stop
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _until_done(
    work: Coroutine[Any, Any, None], told: shadow_report.Told, stop: asyncio.Event, idle_s: float | None
) -> None:
    """Wait for the work's end, until it is to stop, or until no run has ended for `idle_s` seconds."""
    task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        while not task.done() and not stop.is_set():
            await asyncio.wait({task, stopping}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
            if idle_s is not None and time.monotonic() - told.last > idle_s:
                break
        if task.done():
            task.result()
    finally:
        for each in (task, stopping):
            each.cancel()
        await asyncio.wait({task, stopping})


def _say_left(meant: Meant, options: Options) -> None:
    if not meant.left:
        return
    idle = f", and nothing has happened for {options.idle_s:g} s" if options.idle_s is not None else ""
    say(f"penstock: {meant.left} runs have not ended{idle}; the same command goes on with them")
