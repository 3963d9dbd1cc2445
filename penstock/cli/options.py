"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Bootstrap = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="The Kafka broker. Default: the setting PENSTOCK_BOOTSTRAP, else the embedded Kafka if it runs.",
        show_default=False,
    ),
]
HiddenBootstrap = Annotated[
    str | None, typer.Option(hidden=True, help="Accepted by all commands; not used by this one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line, and nothing else, on stdout.")]
WorkflowFile = Annotated[Path, typer.Argument(metavar="FILE", help="The workflow's YAML file.", show_default=False)]
WorkflowId = Annotated[
    str, typer.Argument(metavar="WORKFLOW_ID", help="The `id` in the workflow's file.", show_default=False)
]
RunId = Annotated[str, typer.Argument(metavar="RUN_ID", show_default=False)]
OfWorkflow = Annotated[
    str | None, typer.Option("--workflow", metavar="ID", help="The run's workflow, should two have a run of that id.")
]
Partitions = Annotated[
    int | None,
    typer.Option(
        min=1, help="Partition count when the topics are created: the most workers that can share the work. Default: 4."
    ),
]
ResumeFrom = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Where to read on should the group's position be lost: earliest, latest, ISO 8601, or a span back such as -2h.",
        show_default=False,
    ),
]
InputText = Annotated[str | None, typer.Option("--input", metavar="JSON", help="One input.", show_default=False)]
InputFile = Annotated[
    str | None,
    typer.Option(
        "--input-file", metavar="FILE", help="Inputs, one JSON value per line; `-` is stdin.", show_default=False
    ),
]
