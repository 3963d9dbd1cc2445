"""`penstock run`: everything in one go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from penstock.cli import inputs, logs, loops, models, run_report, target, workflow_files
from penstock.cli.errors import FAILED, BadUsage, say
from penstock.cli.options import AsJson, Bootstrap, InputFile, InputText, Partitions, ResumeFrom, WorkflowFile

if TYPE_CHECKING:
    from penstock.settings import Settings
    from streams.engine.config import EngineConfig
    from streams.providers.registry import ProviderRegistry
    from topology.plan import WorkflowPlan

DRAIN_S = 2.0
"""Long enough for results under way; a call that takes longer is made again by the next worker."""


def run(
    file: WorkflowFile,
    text: InputText = None,
    input_file: InputFile = None,
    timeout: Annotated[
        float,
        typer.Option(min=0, metavar="S", help="Give up after S seconds, not counting the start of Kafka and model."),
    ] = 300,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Embedded Kafka only: delete the workflow's topics and state first.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", envvar="PENSTOCK_KEEP", help="Leave the embedded Kafka running afterwards.")
    ] = False,
    partitions: Partitions = None,
    resume_from: ResumeFrom = None,
    log_format: logs.LogFormat = None,
    log_level: logs.LogLevel = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow on some inputs and print the results. Starts what is not there: Kafka, topics, a worker, a local model.

    Exit 0 if every run is a success, 1 if one is not or does not end in time.
    """
    texts = inputs.inputs_of(text, input_file)
    resume = target.resume_from(resume_from)
    plan = workflow_files.runnable(file, partitions)
    workflow_files.check_handlers(plan)
    from penstock import settings

    known = settings.load()
    workflow_files.check_sizes(plan, known)
    outside = target.outside(bootstrap, known)
    if fresh and outside:
        raise BadUsage(f"--fresh deletes topics, and does so on the embedded Kafka only, not at {outside}")
    logs.one_go(log_format, log_level)
    with ExitStack() as stack:
        stack.enter_context(loops.terminable())
        address = outside or stack.enter_context(_embedded(known, keep))
        providers = stack.enter_context(_providers(plan, known))
        config = target.worker_config(address, known, partitions, resume, DRAIN_S)
        report = stack.enter_context(run_report.report(plan, len(texts), as_json))
        missing = _go(plan, config, texts, timeout, fresh, providers, report)
    report.end()
    if missing:
        _say_missing(missing, timeout, embedded=outside is None)
    if missing or not report.all_succeeded:
        raise typer.Exit(FAILED)


def _go(
    plan: WorkflowPlan,
    config: EngineConfig,
    texts: list[str],
    timeout: float,
    fresh: bool,
    providers: ProviderRegistry,
    report: run_report.Report,
) -> list[str]:
    from penstock.client.onego import Go, one_go
    from penstock.client.publishing import Input
    from streams.nodes import Resources
    from streams.telemetry.environment import from_environment

    telemetry = from_environment()
    if telemetry is not None:
        telemetry.watch_providers(providers)
    go = Go(plan, config, [Input(uuid4().hex, text) for text in texts], timeout, fresh)
    return loops.run(one_go(go, Resources(providers, telemetry=telemetry), report.ended))


@contextmanager
def _embedded(known: Settings, keep: bool) -> Iterator[str]:
    from penstock.client.lease import embedded_kafka

    with embedded_kafka(known.home, say, keep) as address:
        yield address


@contextmanager
def _providers(plan: WorkflowPlan, known: Settings) -> Iterator[ProviderRegistry]:
    if known.has_provider or not models.needs_model(plan):
        yield models.configured(known)
    else:
        with models.local("No provider is configured") as registry:
            yield registry


def _say_missing(missing: list[str], timeout: float, embedded: bool) -> None:
    shown = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
    start = "after `penstock kafka start`, " if embedded else ""
    say(
        f"penstock: {len(missing)} run(s) not done within {timeout:g} s: {shown}. They go on with the next worker; "
        f"{start}see one with `penstock runs show {missing[0]}`"
    )
