"""`penstock worker`: the agents of one or more workflows, until told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import collector, logs, loops, models, output, target, workflow_files
from penstock.cli.errors import BadUsage, say
from penstock.cli.http import LOCAL, Served, serving
from penstock.cli.options import AsJson, Bootstrap, Partitions, ResumeFrom

if TYPE_CHECKING:
    from penstock.settings import Settings
    from streams.engine.config import EngineConfig
    from streams.engine.engine import Engine
    from streams.providers.registry import ProviderRegistry
    from topology.plan import WorkflowPlan


def worker(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Workflow files.", show_default=False)],
    partitions: Partitions = None,
    local_model: Annotated[
        bool, typer.Option("--local-model", help="Use the small local model for all llm nodes.")
    ] = False,
    no_create_topics: Annotated[
        bool,
        typer.Option(
            "--no-create-topics",
            help="Create no topic; if one is missing, say with which lines to create it, and exit 2.",
        ),
    ] = False,
    resume_from: ResumeFrom = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Serve Prometheus metrics at PORT/metrics.")
    ] = None,
    metrics_host: Annotated[str, typer.Option(metavar="HOST", help="Where metrics are served.")] = LOCAL,
    health_port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, help="Serve /livez, /readyz and /healthz at PORT; may be the metrics' port."),
    ] = None,
    health_host: Annotated[str, typer.Option(metavar="HOST", help="Where health is served.")] = LOCAL,
    log_format: logs.LogFormat = None,
    log_level: logs.LogLevel = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Run the agents of workflows until SIGTERM or Ctrl-C, then finish what is under way. Creates missing topics.

    Start as many as you like, up to the partition count: they share the work.
    """
    plans = [workflow_files.runnable(file, partitions) for file in files]
    _refuse_doubles(plans)
    resume = target.resume_from(resume_from)
    from penstock import settings

    known = settings.load()
    if not local_model:
        _require_provider(plans, known)
    for plan in plans:
        workflow_files.check_sizes(plan, known)
        workflow_files.check_handlers(plan)
    logs.worker(log_format, log_level)
    address = target.outside(bootstrap, known) or target.embedded(known)
    config = replace(target.worker_config(address, known, partitions, resume), create_topics=not no_create_topics)
    with _providers(plans, known, local_model) as providers:
        loops.run(
            _work(plans, config, providers, as_json, Served(metrics_port, metrics_host, health_port, health_host))
        )
    say("stopped")


def _refuse_doubles(plans: list[WorkflowPlan]) -> None:
    doubles = [id_ for id_, count in Counter(plan.id for plan in plans).items() if count > 1]
    if doubles:
        raise BadUsage(
            f"workflow {doubles[0]!r} is in two of the files: one of them would take part in the other's runs"
        )


def _require_provider(plans: list[WorkflowPlan], known: Settings) -> None:
    needing = [plan.id for plan in plans if models.needs_model(plan)]
    if needing and not known.has_provider:
        raise BadUsage(
            f"workflow {needing[0]!r} has llm nodes and no provider is configured: set OPENAI_API_KEY or OPENAI_BASE_URL, "
            "name a provider in penstock.toml, or try it with --local-model"
        )


@contextmanager
def _providers(plans: list[WorkflowPlan], known: Settings, local_model: bool) -> Iterator[ProviderRegistry]:
    if local_model and any(models.needs_model(plan) for plan in plans):
        with models.local("--local-model") as registry:
            yield registry
    else:
        yield models.configured(known)


async def _work(
    plans: list[WorkflowPlan],
    config: EngineConfig,
    providers: ProviderRegistry,
    as_json: bool,
    served: Served,
) -> None:
    from streams.bootstrap import engine_of
    from streams.engine.access import demand_worker, is_refusal
    from streams.engine.drift import warn_of_drift
    from streams.engine.health import Health
    from streams.engine.provider_states import ProviderStates
    from streams.engine.retention import warn_of_retention
    from streams.nodes import Resources
    from streams.telemetry.environment import from_environment

    telemetry = from_environment(serves_metrics=served.metrics_port is not None)
    resources = Resources(providers, telemetry=telemetry)
    health = Health()
    stack = ExitStack()
    try:
        stack.enter_context(serving(served, health, telemetry))
        engines = [engine_of(plan, resources, config) for plan in plans]
        _stop_on_signal(engines)
        health.watch({plan.id: engine for plan, engine in zip(plans, engines, strict=True)})
        beating = asyncio.create_task(health.beat())
        counts = [await engine.prepare() for engine in engines]
        for plan in plans:
            await warn_of_retention(plan, config)
            await warn_of_drift(plan, config)
        collector.tune()
        states = ProviderStates(config, engines[0].incarnation)
        if telemetry is not None:
            telemetry.watch_providers(providers)
        for gate in providers.gates:
            gate.listeners.append(states.on_change)
        beside = [asyncio.create_task(_say_ready(e, n, as_json)) for e, n in zip(engines, counts, strict=True)]
        beside += [asyncio.create_task(states.run()), beating]
        try:
            await _run_all(engines)
        except Exception as error:
            if is_refusal(error):
                for plan in plans:
                    await demand_worker(plan, config)
            raise
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
    finally:
        await resources.aclose()
        stack.close()


def _stop_on_signal(engines: list[Engine]) -> None:
    """Drain on the first SIGTERM or Ctrl-C; on a second one leave what is under way to the next worker."""
    task = asyncio.current_task()
    told = False

    def stop() -> None:
        nonlocal told
        if told and task is not None:
            task.cancel()
        told = True
        say("stopping: finishing what is under way")
        for engine in engines:
            engine.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


async def _run_all(engines: list[Engine]) -> None:
    """Run engines until they are stopped; when one fails, drain the others and raise what it raised."""
    from penstock.client.onego import raise_of

    running = [asyncio.create_task(engine.run()) for engine in engines]
    try:
        await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
        for engine in engines:
            engine.stop()
        await asyncio.wait(running)
    except asyncio.CancelledError:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        raise
    for task in running:
        raise_of(task)


async def _say_ready(engine: Engine, partitions: int, as_json: bool) -> None:
    await engine.ready.wait()
    workflow = engine.workflow.plan.id
    say(f"worker ready: {workflow}, {partitions} partitions")
    if as_json:
        output.line({"event": "ready", "workflow": workflow, "partitions": partitions})
