"""`penstock publish`: events onto a workflow's input topic."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from penstock.cli import inputs, logs, loops, output, target
from penstock.cli.errors import BadUsage
from penstock.cli.options import AsJson, Bootstrap, InputFile, InputText, WorkflowId

if TYPE_CHECKING:
    from penstock.client.publishing import Input
    from streams.engine.config import EngineConfig

Named = Annotated[
    str | None,
    typer.Option(
        "--run-id", metavar="ID", help="The run's id, one input only; default: a new one each.", show_default=False
    ),
]
Traceparent = Annotated[
    str | None,
    typer.Option(envvar="TRACEPARENT", metavar="W3C", help="The trace that the runs are part of.", show_default=False),
]


MAY_BE_LARGE = 256
"""Characters; less than this no workflow puts away, so nobody need look how it has it."""


def publish(
    workflow_id: WorkflowId,
    text: InputText = None,
    file: InputFile = None,
    run_id: Named = None,
    traceparent: Traceparent = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Publish inputs; print the run id and the place in the topic of each. A worker runs them (`penstock worker FILE`)."""
    from penstock.client.publishing import Input

    texts = inputs.inputs_of(text, file)
    if run_id is not None:
        _check_run_id(run_id, len(texts))
    _check_traceparent(traceparent)
    runs = [Input(run_id or uuid4().hex, one, traceparent=traceparent) for one in texts]
    logs.quiet()
    config = target.config_of(bootstrap)
    loops.asking(_publish(config, workflow_id, runs, as_json), config, "publish", workflow_id)


def _check_run_id(run_id: str, count: int) -> None:
    from schemas.ids import is_run_id

    if count != 1:
        raise BadUsage(f"--run-id names one run, and there are {count} inputs")
    if not is_run_id(run_id):
        raise BadUsage(f"{run_id!r} is no run id: 1 to 200 printable characters, no '/', no blanks at the ends")


def _check_traceparent(text: str | None) -> None:
    from schemas.trace import parse_traceparent

    if text is not None and parse_traceparent(text) is None:
        raise BadUsage(f"--traceparent: {text!r} is no W3C traceparent (00-TRACE_ID-SPAN_ID-01, in hex digits)")


async def _publish(config: EngineConfig, workflow_id: str, runs: Sequence[Input], as_json: bool) -> None:
    from penstock.client import connections, plans, publishing, workflows

    topics = await workflows.topics_on(config)
    topic = workflows.input_of(workflow_id, topics)
    if any(len(one.text) > MAY_BE_LARGE for one in runs):
        runs = await publishing.put_away(runs, await plans.claim_check_of(config, workflow_id, topics), config.claims)
    async with connections.producer(config) as producer:
        async for published in publishing.publish(producer, topic, runs):
            found = dataclasses.asdict(published)
            if as_json:
                output.line(found)
            else:
                output.text(f"{published.run_id}  {published.topic}/{published.partition}/{published.offset}")
