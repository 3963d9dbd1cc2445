"""`penstock kafka`: the embedded real Kafka of this home."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli import output
from penstock.cli.errors import FAILED, say
from penstock.cli.options import AsJson, HiddenBootstrap

app = typer.Typer(
    help="The embedded Kafka: real Apache Kafka on this machine, without Docker or Java.", no_args_is_help=True
)

Port = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, help="Default: the port it had before, else 9092 or the next free one.", show_default=False
    ),
]


@app.command()
def start(port: Port = None, bootstrap: HiddenBootstrap = None, as_json: AsJson = False) -> None:
    """Start Kafka and wait until it serves; it runs on until `penstock kafka stop`. Its data is in PENSTOCK_HOME."""
    from penstock import devkafka, settings
    from penstock.client import lease

    home = settings.load().home
    broker = devkafka.start(home, port, progress=say)
    lease.adopt(home)
    output.show({"bootstrap": broker.bootstrap, "pid": broker.pid, "data": str(broker.data)}, as_json)


@app.command()
def stop(bootstrap: HiddenBootstrap = None, as_json: AsJson = False) -> None:
    """Stop Kafka; its data stays."""
    from penstock import devkafka, settings

    home = settings.load().home
    before = devkafka.status(home)
    stopped = devkafka.stop(home)
    say("Kafka is stopped." if stopped else "Kafka was not running.")
    if as_json:
        output.line({"stopped": stopped, "bootstrap": before.bootstrap, "pid": before.pid, "data": str(before.data)})


@app.command()
def status(bootstrap: HiddenBootstrap = None, as_json: AsJson = False) -> None:
    """Say whether Kafka runs, and where; exit 1 if it does not."""
    from penstock import devkafka, settings

    found = devkafka.status(settings.load().home)
    state = {"running": found.running, "bootstrap": found.bootstrap, "pid": found.pid, "data": str(found.data)}
    output.show(state | {"version": found.version}, as_json)
    if not found.running:
        raise typer.Exit(FAILED)
