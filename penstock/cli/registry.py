"""`penstock registry`: a real schema registry on this machine, and a workflow's schemas in any."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from penstock.cli import output, workflow_files
from penstock.cli.errors import FAILED, BadUsage, say
from penstock.cli.options import AsJson, HiddenBootstrap, WorkflowFile

app = typer.Typer(
    help="A schema registry: a real one on this machine to try it with, and a workflow's schemas in yours.",
    no_args_is_help=True,
)

Port = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, help="Default: the port it had before, else 8081 or the next free one.", show_default=False
    ),
]


@app.command()
def start(port: Port = None, bootstrap: HiddenBootstrap = None, as_json: AsJson = False) -> None:
    """Start Apicurio Registry and wait until it answers; it runs on until `penstock registry stop`."""
    from penstock import devregistry, settings

    running = devregistry.start(settings.load().home, port, progress=say)
    output.show({"url": running.url, "pid": running.pid, "data": str(running.folder)}, as_json)


@app.command()
def stop(bootstrap: HiddenBootstrap = None, as_json: AsJson = False) -> None:
    """Stop the registry; what is registered stays."""
    from penstock import devregistry, settings

    stopped = devregistry.stop(settings.load().home)
    say("The registry is stopped." if stopped else "The registry was not running.")
    if as_json:
        output.line({"stopped": stopped})


@app.command()
def status(bootstrap: HiddenBootstrap = None, as_json: AsJson = False) -> None:
    """Say whether the registry runs, and where; exit 1 if it does not."""
    from penstock import devregistry, settings

    found = devregistry.status(settings.load().home)
    alive = found is not None and found.alive
    url = found.url if found is not None and alive else None
    output.show({"running": alive, "url": url, "pid": found.pid if found and alive else None}, as_json)
    if not alive:
        raise typer.Exit(FAILED)


@app.command()
def register(file: WorkflowFile, bootstrap: HiddenBootstrap = None, as_json: AsJson = False) -> None:
    """Check and register every schema that the workflow's workers write, as they would; exit 2 if one breaks its readers."""
    from penstock import settings
    from penstock.registry.client import Registry
    from penstock.registry.connect import access_of, connect
    from penstock.registry.subjects import prepare

    known = settings.load()
    if known.schema_registry_url is None:
        raise BadUsage("no schema registry is set: set schema_registry_url or PENSTOCK_SCHEMA_REGISTRY_URL")
    plan = workflow_files.load(file, None).require_plan()
    wire = connect(known)

    async def work() -> dict[str, int]:
        async with Registry(access_of(known)) as registry:
            return await prepare(plan, registry, wire)

    for subject, schema_id in asyncio.run(work()).items():
        if as_json:
            output.line({"subject": subject, "id": schema_id})
        else:
            output.text(f"{schema_id:>6}  {subject}")
