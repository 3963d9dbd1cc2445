"""`penstock describe`: the topology of a workflow."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import output, workflow_files
from penstock.cli.errors import BadUsage, say
from penstock.cli.options import AsJson, HiddenBootstrap, Partitions, WorkflowFile

if TYPE_CHECKING:
    from topology.plan import WorkflowPlan


class Format(StrEnum):
    """How a topology is drawn."""

    TEXT = "text"
    MERMAID = "mermaid"
    JSON = "json"
    ASYNCAPI = "asyncapi"


def describe(
    file: WorkflowFile,
    form: Annotated[
        Format, typer.Option("--format", help="For people, a picture, programs, or a service catalogue.")
    ] = Format.TEXT,
    partitions: Partitions = None,
    bootstrap: HiddenBootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Describe the topology that a workflow compiles to: agents, topics, tables, edges."""
    from penstock import settings
    from topology.sizes import described

    loaded = workflow_files.load(file, partitions)
    known = settings.load()
    plan = described(loaded.require_plan(), known.sizes())
    workflow_files.check_sizes(plan, known)
    for warning in loaded.warnings:
        say(str(warning))
    if not as_json:
        output.text(_drawn(plan, form))
    elif form is Format.MERMAID:
        output.line({"mermaid": _drawn(plan, form)})
    else:
        from schemas.codec import loads

        output.line(loads(_drawn(plan, Format.ASYNCAPI if form is Format.ASYNCAPI else Format.JSON)))


def _drawn(plan: WorkflowPlan, form: Format) -> str:
    from topology.describe import UnknownFormat, describe

    try:
        return describe(plan, form.value)
    except UnknownFormat as error:
        raise BadUsage(str(error)) from None
