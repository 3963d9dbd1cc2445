"""Which topics a workflow has and what each is for, told from their names alone: nobody hands the auditor a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from topology import naming

Role = Literal["input", "control", "run", "journal", "requests", "retry", "dead-letter", "output", "lease", "changelog"]

CONSUMED: frozenset[Role] = frozenset({"input", "control", "run", "journal", "retry", "output", "lease"})
"""What the workflow's group commits positions of; in the output topic: up to where results are known to a durable row."""

CO_PARTITIONED: frozenset[Role] = frozenset({"run", "journal", "retry", "output", "lease", "changelog"})
"""Where a run, or the key of what is done once, has one and the same partition."""

EFFECTS: frozenset[Role] = frozenset({"changelog", "dead-letter", "output", "requests"})
"""What is only ever written because of records in the other topics."""

PartitionOf = Callable[[bytes, int], int]
"""The partition of a key among so many."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A workflow's topics: `topics` have their partition counts, `nodes` are node ids, `node_of` and `table_of` go by topic."""

    workflow: str
    topics: Mapping[str, int]
    roles: Mapping[str, Role]
    nodes: tuple[str, ...]
    node_of: Mapping[str, str]
    table_of: Mapping[str, str]
    partition_of: PartitionOf

    def has(self, topic: str, *roles: Role) -> bool:
        """Say whether `topic` is the workflow's and has one of `roles`."""
        return self.roles.get(topic) in roles

    def places(self) -> list[tuple[str, int]]:
        """Return every partition of every topic."""
        return [(topic, partition) for topic, count in self.topics.items() for partition in range(count)]


def layout_of(workflow: str, topics: Mapping[str, int], partition_of: PartitionOf) -> Layout:
    """Return the layout of `workflow` among a broker's topics (with their partition counts)."""
    nodes = _nodes(workflow, topics)
    leases = [naming.leases_table(node) for node in nodes]
    items = [naming.items_table(node) for node in nodes]
    tables = [
        *map(naming.node_table, nodes),
        *items,
        *leases,
        naming.RUN_TABLE,
        naming.TIMERS_TABLE,
        naming.LEDGER_TABLE,
    ]
    journals = {naming.journal_topic(workflow, node): node for node in nodes}
    changelogs = {naming.changelog_topic(workflow, table): table for table in tables}
    roles: dict[str, Role] = {
        naming.input_topic(workflow): "input",
        naming.control_topic(workflow): "control",
        naming.run_topic(workflow): "run",
        **dict.fromkeys(journals, "journal"),
        **dict.fromkeys((naming.requests_topic(workflow, node) for node in nodes), "requests"),
        **dict.fromkeys((naming.effects_topic(workflow, node) for node in nodes), "lease"),
        **dict.fromkeys((naming.routes_topic(workflow, node) for node in nodes), "lease"),
        naming.retry_topic(workflow): "retry",
        naming.dead_letter_topic(workflow): "dead-letter",
        naming.output_topic(workflow): "output",
        **dict.fromkeys(changelogs, "changelog"),
    }
    found = {topic: topics[topic] for topic in roles if topic in topics}
    return Layout(workflow, found, roles, tuple(nodes), journals, changelogs, partition_of)


def _nodes(workflow: str, topics: Mapping[str, int]) -> list[str]:
    """Return the ids of the nodes: what has a journal and a changelog, for anybody may own a topic whose name begins alike."""
    reserved = {naming.node_table(node) for node in naming.RESERVED_NODE_IDS}
    before = naming.run_topic(workflow).removesuffix("run")
    parts = {topic.removeprefix(before) for topic in topics if topic.startswith(before)} - reserved
    nodes = sorted(part.replace("-", "_") for part in parts if part and "." not in part)
    return [node for node in nodes if naming.changelog_topic(workflow, naming.node_table(node)) in topics]
