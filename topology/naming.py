"""The one place where names of topics, tables and groups are made; no other module spells one.

All of them begin with the process's prefix (ADR 0020): whoever makes a name cannot forget it, and so cannot write to another team's topics.
"""

from __future__ import annotations

import re

MAX_TOPIC_LENGTH = 249
"""Kafka's own limit (`org.apache.kafka.common.internals.Topic`)."""

RESERVED_NODE_IDS = frozenset(
    {"input", "control", "run", "retry", "dead_letter", "output", "tokens", "effects", "timers", "ledger"}
)
"""Ids whose journal or changelog would have the name of one of the workflow's own topics."""

MAX_PREFIX_LENGTH = 100

_LEGAL_TOPIC = re.compile(r"[a-zA-Z0-9.-]+\Z")  # no `_`: in Kafka's metric names it is the same character as `.`
_LEGAL_PREFIX = re.compile(
    r"[a-zA-Z0-9][a-zA-Z0-9._-]*\Z"
)  # an administrator's: all names have the same, so `_` confuses none
_OURS = "penstock."


class IllegalTopicName(ValueError):
    """A name that Kafka would refuse or confuse with another one."""


_prefix = ""


def use_prefix(prefix: str) -> None:
    """Have every name begin with `prefix` from now on, in the whole process; "" for none.

    Raises:
        IllegalTopicName: no name may begin so.
    """
    global _prefix  # noqa: PLW0603 - ADR 0020
    _prefix = legal_prefix(prefix)


def prefix_in_use() -> str:
    """Return what every name begins with."""
    return _prefix


def legal_prefix(text: str) -> str:
    """Return the prefix that `text` means: one that ends in a letter or digit gets a `.`; raise `IllegalTopicName` for a bad one."""
    if not text:
        return ""
    if not _LEGAL_PREFIX.match(text):
        raise IllegalTopicName(
            f"{text!r} may hold only letters, digits, '.', '_' and '-', and begins with a letter or digit"
        )
    prefix = f"{text}." if text[-1].isalnum() else text
    if ".." in prefix:
        raise IllegalTopicName(f"{text!r} has two '.' in a row")
    if len(prefix) > MAX_PREFIX_LENGTH:
        raise IllegalTopicName(f"it has {len(prefix)} characters, {MAX_PREFIX_LENGTH} are allowed")
    if prefix.startswith(_OURS):
        raise IllegalTopicName(f"{text!r}: names that begin with {_OURS!r} are Penstock's own")
    return prefix


def legal_topic(name: str) -> str:
    """Return `name` behind the prefix, or raise `IllegalTopicName` if Kafka would refuse it or its metrics would confuse it."""
    if not _LEGAL_TOPIC.match(name):
        raise IllegalTopicName(f"topic name {name!r} may hold only letters, digits, '.' and '-'")
    name = _prefix + name
    if len(name) > MAX_TOPIC_LENGTH:
        raise IllegalTopicName(
            f"topic name {name[:40]!r}... has {len(name)} characters, Kafka allows {MAX_TOPIC_LENGTH}"
        )
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


def is_leases_table(table: str) -> bool:
    """Say whether a table is one of leases."""
    return table.endswith(".leases")


RUN_TABLE = "run"
TIMERS_TABLE = "timers"
LEDGER_TABLE = "ledger"


def provider_states_topic() -> str:
    """Where all workers under one prefix tell how their breakers stand."""
    return legal_topic(f"{_OURS}providers")


def plans_topic() -> str:
    """Where all workers under one prefix record the versions of their workflows, whole."""
    return legal_topic(f"{_OURS}plans")


def plan_key(workflow: str, plan_hash: str) -> str:
    """The key of a version in `penstock.plans`; with an empty hash what the keys of all versions begin with."""
    return f"{workflow}/{plan_hash}"


def partitions_key(workflow: str) -> str:
    """The key in `penstock.plans` of the partition count that the workflow's topics were made with."""
    return f"{workflow}#partitions"


def move_key(workflow: str) -> str:
    """The key in `penstock.plans` of a move to another partition count that is under way."""
    return f"{workflow}#move"


MOVING = ".moving"
"""How the name of a topic ends while it is copied."""


def moving_topic(topic: str) -> str:
    """Where the records of `topic` stand while it is made anew with another partition count."""
    name = topic + MOVING
    if len(name) > MAX_TOPIC_LENGTH:
        raise IllegalTopicName(
            f"topic name {name[:40]!r}... has {len(name)} characters, Kafka allows {MAX_TOPIC_LENGTH}"
        )
    return name


def changelog_topic(workflow: str, table: str) -> str:
    """The compacted topic behind `table`."""
    return legal_topic(f"{_OURS}{workflow}-{table}-changelog")


def is_changelog(topic: str) -> bool:
    """Say whether a topic is named as changelogs are, while it is copied, too."""
    return topic.removesuffix(MOVING).endswith("-changelog")


def consumer_group(workflow: str) -> str:
    """The consumer group of all workers of a workflow."""
    return f"{_prefix}{_OURS}{workflow}"


_RUN_CHANGELOG = re.compile(
    r"(?P<workflow>[a-zA-Z0-9-]+)-run-changelog\Z"
)  # an id has no `.`: those are other people's


def workflow_of_changelog(topic: str) -> str | None:
    """Return the workflow whose run table `topic` is the changelog of, else None: how the CLI finds workflows on a broker."""
    before = _prefix + _OURS
    found = _RUN_CHANGELOG.match(topic, len(before)) if topic.startswith(before) else None
    return found["workflow"] if found else None
