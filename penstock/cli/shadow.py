"""`penstock replay --shadow`: another version of a workflow beside the present one, and what differs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.cli import loops, models, output, target, workflow_files
from penstock.cli.errors import BadUsage, say

if TYPE_CHECKING:
    from penstock.client.results import Result
    from penstock.client.runs import RunState
    from penstock.client.workflows import Workflow
    from streams.engine.config import EngineConfig
    from topology.plan import WorkflowPlan

DRAIN_S = 2.0
NO_LIMIT_S = 1e9


def plan_of(file: Path, workflow: Workflow, key: str) -> WorkflowPlan:
    """Return the plan that runs as a shadow of `workflow`; BadUsage if the file is another workflow's, or has no model to ask."""
    from penstock import settings
    from penstock.client.shadow import shadow_id
    from topology.load import load_workflow

    own = workflow_files.runnable(file, workflow.partitions)
    if own.id != workflow.id:
        raise BadUsage(f"--shadow: {str(file)!r} is of workflow {own.id!r}, not of {workflow.id!r}")
    workflow_files.check_handlers(own)
    if models.needs_model(own) and not settings.load().has_provider:
        raise BadUsage(
            "--shadow: no provider is configured: set OPENAI_API_KEY or OPENAI_BASE_URL, or a provider in penstock.toml"
        )
    called = shadow_id(workflow.id, f"{own.plan_hash[:6]}{key}")
    return load_workflow(file, partitions=workflow.partitions, called=called).require_plan()


def run(
    bootstrap: str | None,
    workflow: Workflow,
    plan: WorkflowPlan,
    states: list[RunState],
    timeout_s: float,
    *,
    with_effects: bool,
    again: bool,
    as_json: bool,
) -> bool:
    """Run the shadow, print a line per run and the summary; return whether any run has no result."""
    from penstock import settings

    known = settings.load()
    address = target.outside(bootstrap, known) or target.embedded(known)
    with ExitStack() as stack:
        stack.enter_context(loops.terminable())
        config = target.worker_config(address, known, workflow.partitions, None, DRAIN_S)
        return loops.run(_run(config, workflow, plan, states, timeout_s, with_effects, again, as_json))


async def _run(
    config: EngineConfig,
    workflow: Workflow,
    plan: WorkflowPlan,
    states: list[RunState],
    timeout_s: float,
    with_effects: bool,
    again: bool,
    as_json: bool,
) -> bool:
    from penstock import settings
    from penstock.client import connections, shadow, workflows
    from penstock.client.deleting import delete_workflow
    from penstock.client.onego import Go, one_go
    from penstock.client.publishing import Input
    from penstock.client.replay_plan import inputs_of
    from schemas.codec import dumps
    from streams.nodes import Resources

    plan, reaching = (plan, frozenset()) if with_effects else shadow.stubbed(plan)
    if again:
        await delete_workflow(plan, config)
    topics = await workflows.topics_on(config)
    ids = {state.row.run_id for state in states}
    async with connections.reader(config) as reader:
        before = await shadow.results_of(reader, workflow.id, topics, ids)
        done = await shadow.results_of(reader, plan.id, topics, ids)
        inputs = await inputs_of(reader, [state.row for state in states if state.row.run_id not in done])
        stubs = await shadow.recorded(reader, workflow, reaching)
    printed = _Printed(before, as_json)
    for result in done.values():
        printed.ended(result)
    going = [Input(run_id, dumps(value)) for run_id, value in inputs.items()]
    if going:
        go = Go(plan, config, going, NO_LIMIT_S, False, stubs)
        await _while_it_moves(
            one_go(go, Resources(models.configured(settings.load())), printed.ended), printed, timeout_s
        )
    printed.end()
    missing = ids - printed.seen
    if missing:
        say(
            f"penstock: {len(missing)} runs have not ended, and nothing has happened for {timeout_s:g} s; the same command goes on "
            "with them"
        )
    else:
        await delete_workflow(plan, config)
    return bool(missing)


async def _while_it_moves(work: Coroutine[Any, Any, object], printed: _Printed, idle_s: float) -> None:
    """Wait for the work's end, or until no run has ended for `idle_s` seconds."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=1)
            if printed.idle_s > idle_s:
                return
        task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})


class _Printed:
    """Prints a diff line per run as it ends, and the summary."""

    def __init__(self, before: dict[str, Result], as_json: bool) -> None:
        from penstock.client.shadow import Summary

        self._before = before
        self._as_json = as_json
        self._summary = Summary()
        self._last = time.monotonic()
        self.seen: set[str] = set()

    @property
    def idle_s(self) -> float:
        """How long ago the last run ended."""
        return time.monotonic() - self._last

    def ended(self, result: Result) -> None:
        """Print the line of a run."""
        from penstock.client.shadow import compared

        self._last = time.monotonic()
        self.seen.add(result["run_id"])
        line = compared(self._before.get(result["run_id"], {}), result)
        self._summary.take(line)
        if self._as_json:
            output.line(line)
        else:
            output.text(
                f"{line['run_id']}  {'changed' if line['changed'] else 'equal'}  {output.compact(line['diff'])}"
            )

    def end(self) -> None:
        """Print the summary."""
        told: dict[str, Any] = self._summary.told()
        if self._as_json:
            output.line({"summary": told})
        else:
            output.fields(told)
