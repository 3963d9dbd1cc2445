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


Secure = Annotated[
    bool,
    typer.Option(
        "--secure",
        help="With TLS (SASL_SSL, SCRAM) and ACLs, when its data folder is made; it stays so. `config` is the settings file of its user.",
    ),
]


@app.command()
def start(
    port: Port = None, secure: Secure = False, bootstrap: HiddenBootstrap = None, as_json: AsJson = False
) -> None:
    """Start Kafka and wait until it serves; it runs on until `penstock kafka stop`. Its data is in PENSTOCK_HOME."""
    from penstock import devkafka, settings
    from penstock.client import lease

    home = settings.load().home
    broker = devkafka.start(home, port, progress=say, secured=secure)
    lease.adopt(home)
    told = {"bootstrap": broker.bootstrap, "pid": broker.pid, "data": str(broker.data)}
    output.show(told | ({"config": str(broker.config)} if broker.config else {}), as_json)


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
    config = {"config": str(found.config)} if found.config else {}
    output.show(state | {"version": found.version} | config, as_json)
    if not found.running:
        raise typer.Exit(FAILED)


@app.command()
def user(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    bootstrap: HiddenBootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Add a user to a Kafka that was started with --secure, or give one a new password; prints its settings file."""
    from penstock import devkafka, settings

    config = devkafka.add_user(settings.load().home, name, say)
    output.show({"user": name, "config": str(config)}, as_json)


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    epilog="Tools: kafka-acls.sh, kafka-topics.sh, kafka-configs.sh, kafka-consumer-groups.sh and others.",
)
def exec(
    context: typer.Context,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="kafka-acls.sh, say.", show_default=False)],
) -> None:
    """Run one of Kafka's own tools; without --bootstrap-server on this home's Kafka, as its admin if it is secured."""
    from penstock import devkafka, settings

    raise typer.Exit(devkafka.run_tool(settings.load().home, tool, context.args, say))
