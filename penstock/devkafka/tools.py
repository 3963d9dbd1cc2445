"""Kafka's own command line tools, without a Kafka distribution: `kafka-acls.sh` and its like, by the JVM of the embedded Kafka."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from penstock.devkafka import config, secure, state, storage
from penstock.devkafka.certificates import private
from penstock.devkafka.errors import DevKafkaError
from penstock.devkafka.install import Progress, install, install_tools
from penstock.devkafka.state import Layout

TOOLS = {
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-configs": "org.apache.kafka.tools.ConfigCommand",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
}


def run_tool(home: Path, name: str, arguments: Sequence[str], progress: Progress, *, quiet: bool = False) -> int:
    """Run a tool to its end and return its exit code.

    Where the arguments name no broker the home's is meant, and then as its `admin`, if it is secured.
    """
    layout = Layout(home.absolute())
    main_class = TOOLS.get(Path(name).name.removesuffix(".sh"))
    if main_class is None:
        raise DevKafkaError(f"{name!r} is none of Kafka's tools that there are here: {', '.join(TOOLS)}")
    distribution = install(layout.home, progress)
    both = replace(distribution, beside=(install_tools(layout.home, progress).jars,))
    logs = layout.logs / "tools"
    logs.mkdir(parents=True, exist_ok=True)
    command = config.java(both, logs, main_class, *arguments, *_broker(layout, arguments))
    sink = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, env=config.environment(), stdout=sink, stderr=sink, check=False).returncode  # noqa: S603


def add_user(home: Path, user: str, progress: Progress) -> Path:
    """Add a user to a secured broker that runs, with a new password; return the file with its settings."""
    layout = Layout(home.absolute())
    files = secure.of(layout)
    if not storage.is_secured(layout):
        raise DevKafkaError(
            f"The Kafka of {layout.home} has no users: it was not made by `penstock kafka start --secure`."
        )
    if user == secure.ADMIN:
        raise DevKafkaError(f"{user!r} is the user that adds the others.")
    password = secure.new_password(user)
    credential = files.folder / ".credential"
    private(credential, f"{secure.MECHANISM}=iterations={secure.ITERATIONS},password={password}\n")
    try:
        told = ("--alter", "--entity-type", "users", "--entity-name", user, "--add-config-file", str(credential))
        code = run_tool(home, "kafka-configs", told, progress, quiet=True)
    finally:
        credential.unlink()
    if code:
        raise DevKafkaError(f"Kafka did not take the user {user!r} (kafka-configs.sh ended with exit code {code}).")
    private(files.password_of(user), password)
    secure.write_clients(files, _address(layout))
    return files.config_of(user)


def _broker(layout: Layout, arguments: Sequence[str]) -> list[str]:
    """Return what the arguments leave out: which broker, and who asks."""
    if {"--help", "--version"} & set(arguments):
        return []
    known, told = _known(layout), []
    if "--bootstrap-server" not in arguments:
        told = ["--bootstrap-server", _address(layout)]
    elif known not in arguments:  # another one
        return []
    if storage.is_secured(layout) and "--command-config" not in arguments:
        told += ["--command-config", str(secure.of(layout).admin_properties)]
    return told


def _address(layout: Layout) -> str:
    address = _known(layout)
    if address is None:
        raise DevKafkaError(
            f"The Kafka of {layout.home} does not run: `penstock kafka start`, or name another with --bootstrap-server."
        )
    return address


def _known(layout: Layout) -> str | None:
    known = state.read(layout)
    return f"{config.HOST}:{known.port}" if known is not None and known.running else None
