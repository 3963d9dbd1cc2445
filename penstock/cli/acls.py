"""`penstock acls`: what a role has to be allowed on Kafka, as the lines that grant it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli import output, target, workflow_files
from penstock.cli.options import AsJson, Bootstrap, WorkflowFile

if TYPE_CHECKING:
    from penstock.settings import Settings


class For(StrEnum):
    """Who is to be allowed."""

    worker = "worker"
    publisher = "publisher"
    consumer = "consumer"
    console = "console"


def acls(
    file: WorkflowFile,
    principal: Annotated[
        str, typer.Option(metavar="P", help="Who, as Kafka has it: User:NAME, or NAME alone.", show_default=False)
    ],
    role: Annotated[
        list[For] | None,
        typer.Option("--for", help="What they do; may be given several times. Default: worker.", show_default=False),
    ] = None,
    no_create_topics: Annotated[
        bool,
        typer.Option("--no-create-topics", help="For `worker --no-create-topics`, which needs no right to create."),
    ] = False,
    command_config: Annotated[
        str | None, typer.Option(metavar="FILE", help="Put `--command-config FILE` into the lines.", show_default=False)
    ] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Print the fewest ACLs that a worker (publisher, consumer, console) of a workflow works with, as `kafka-acls.sh` lines."""
    plan = workflow_files.runnable(file, None)
    from penstock import settings
    from topology.acls import acl_lines, acls_of, principal_of

    known = settings.load()
    found = [
        (one.value, acl)
        for one in dict.fromkeys(role or [For.worker])
        for acl in acls_of(plan, one.value, known.sizes(), creates=not no_create_topics)
    ]
    who = principal_of(principal)
    broker = f"--bootstrap-server {_address(bootstrap, known)}" + (
        f" --command-config {command_config}" if command_config else ""
    )
    if not as_json:
        for line in acl_lines(dict.fromkeys(acl for _, acl in found), who, broker):
            output.text(line)
        return
    for acl in dict.fromkeys(acl for _, acl in found):
        output.line(
            {
                "principal": who,
                "host": "*",
                "permission": "Allow",
                "operation": acl.operation,
                "resource_type": acl.resource,
                "resource_name": acl.name,
                "pattern_type": "literal",
                "for": [one for one, other in found if other == acl],
                "command": acl_lines([acl], who, broker)[0],
            }
        )


def _address(bootstrap: str | None, known: Settings) -> str:
    """Return the broker that the lines are for; nothing is asked of it."""
    from penstock import devkafka

    named = bootstrap or known.bootstrap
    return target.address(named) if named else devkafka.status(known.home).bootstrap or "localhost:9092"
