"""The command `penstock`: puts the groups together. Each command imports what it needs when it is called, so that help is instant."""

from __future__ import annotations

import os
import sys
import threading
from typing import Annotated

import typer

from penstock.cli import (
    acls,
    audit,
    cancel,
    check,
    console,
    consume,
    dead_letter,
    describe,
    kafka,
    providers,
    publish,
    registry,
    repartition,
    replay,
    review,
    run,
    runs,
    worker,
)
from penstock.cli.errors import Group

app = typer.Typer(
    cls=Group,
    name="penstock",
    help="AI workflows on Apache Kafka: every node of a YAML DAG is a stream agent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(kafka.app, name="kafka")
app.command()(check.check)
app.command()(describe.describe)
app.command()(run.run)
app.command()(worker.worker)
app.command()(publish.publish)
app.command()(consume.consume)
app.command()(replay.replay)
app.command()(repartition.repartition)
app.add_typer(runs.app, name="runs")
app.command()(cancel.cancel)
app.command()(providers.providers)
app.add_typer(dead_letter.app, name="dead-letter")
app.add_typer(review.app, name="review")
app.add_typer(audit.app, name="audit")
app.add_typer(registry.app, name="registry")
app.command()(console.console)
app.command()(acls.acls)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"penstock {version('penstock')}")
        raise typer.Exit


@app.callback()
def penstock(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """AI workflows on Apache Kafka: every node of a YAML DAG is a stream agent.

    Publish events onto a workflow's input topic, consume results from its output topic. Begin with `penstock run FILE`.
    """


def main() -> None:
    """Run the command line and leave."""
    try:
        app(prog_name="penstock")
    except SystemExit as end:
        _leave_in_spite_of_handlers(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)
        raise


def _leave_in_spite_of_handlers(code: int) -> None:
    """Leave at once if a handler of a user's still runs in a thread: Python would wait for it for ever."""
    handlers = [thread for thread in threading.enumerate() if thread.name.startswith("penstock-handler")]
    for thread in handlers:
        thread.join(0.1)
    if any(thread.is_alive() for thread in handlers):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
