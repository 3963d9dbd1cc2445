"""The one place where names of topics, tables and groups are made; no other module spells one."""

from __future__ import annotations

import re

MAX_TOPIC_LENGTH = 249
"""Kafka's own limit (`org.apache.kafka.common.internals.Topic`)."""

RESERVED_NODE_IDS = frozenset(
    {"input", "control", "run", "retry", "dead_letter", "output", "tokens", "effects", "timers", "ledger"}
)
"""Ids whose journal or changelog would have the name of one of the workflow's own topics."""

_LEGAL_TOPIC = re.compile(r"[a-zA-Z0-9.-]+\Z")  # no `_`: in Kafka's metric names it is the same character as `.`


class IllegalTopicName(ValueError):
    """A name that Kafka would refuse or confuse with another one."""


def legal_topic(name: str) -> str:
    """Return `name`, or raise `IllegalTopicName` if Kafka would refuse it or its metrics would confuse it."""
    if len(name) > MAX_TOPIC_LENGTH:
        raise IllegalTopicName(
            f"topic name {name[:40]!r}... has {len(name)} characters, Kafka allows {MAX_TOPIC_LENGTH}"
        )
    if not _LEGAL_TOPIC.match(name):
        raise IllegalTopicName(f"topic name {name!r} may hold only letters, digits, '.' and '-'")
    return name


def _part(node: str) -> str:
    return node.replace("_", "-")


def input_topic(workflow: str) -> str:
    """Where anybody publishes inputs."""
    return legal_topic(f"{workflow}.input")


def control_topic(workflow: str) -> str:
    """Where anybody publishes commands, decisions and external results."""
    return legal_topic(f"{workflow}.control")


def run_topic(workflow: str) -> str:
    """The run's journal."""
    return legal_topic(f"{workflow}.run")


def journal_topic(workflow: str, node: str) -> str:
    """The journal of `node`."""
    return legal_topic(f"{workflow}.{_part(node)}")


def retry_topic(workflow: str) -> str:
    """Attempts to come."""
    return legal_topic(f"{workflow}.retry")


def dead_letter_topic(workflow: str) -> str:
    """What failed for good."""
    return legal_topic(f"{workflow}.dead-letter")


def output_topic(workflow: str) -> str:
    """One result per (run, epoch)."""
    return legal_topic(f"{workflow}.output")


def tokens_topic(workflow: str) -> str:
    """What models say while they say it."""
    return legal_topic(f"{workflow}.tokens")


def requests_topic(workflow: str, node: str) -> str:
    """Work of the external `node` for somebody else's app."""
    return legal_topic(f"{workflow}.{_part(node)}.requests")


def routes_topic(workflow: str, node: str) -> str:
    """Decisions of the router `node`, by what they were made on."""
    return legal_topic(f"{workflow}.{_part(node)}.routes")


def effects_topic(workflow: str, node: str) -> str:
    """What `node` has done, by idempotency key."""
    return legal_topic(f"{workflow}.{_part(node)}.effects")


def node_table(node: str) -> str:
    """The table of `node`'s rows."""
    return _part(node)


def items_table(node: str) -> str:
    """The table of the rows of `node`'s items, by run and index."""
    return f"{_part(node)}.items"


def leases_table(node: str) -> str:
    """The table of what `node` does once per key."""
    return f"{_part(node)}.leases"


RUN_TABLE = "run"
TIMERS_TABLE = "timers"
LEDGER_TABLE = "ledger"


PROVIDER_STATES = "penstock.providers"
"""Where all workers on a broker tell how their breakers stand."""


PLANS = "penstock.plans"
"""Where all workers on a broker record the versions of their workflows, whole."""


def plan_key(workflow: str, plan_hash: str) -> str:
    """The key of a version in `penstock.plans`; with an empty hash what the keys of all versions begin with."""
    return f"{workflow}/{plan_hash}"


def changelog_topic(workflow: str, table: str) -> str:
    """The compacted topic behind `table`."""
    return legal_topic(f"penstock.{workflow}-{table}-changelog")


def consumer_group(workflow: str) -> str:
    """The consumer group of all workers of a workflow."""
    return f"penstock.{workflow}"


_RUN_CHANGELOG = re.compile(r"penstock\.(?P<workflow>.+)-run-changelog\Z")


def workflow_of_changelog(topic: str) -> str | None:
    """Return the workflow whose run table `topic` is the changelog of, else None: how the CLI finds workflows on a broker."""
    found = _RUN_CHANGELOG.match(topic)
    return found["workflow"] if found else None
