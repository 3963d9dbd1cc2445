"""Which workflows a broker has, told from the names of its topics alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from penstock.client import connections
from penstock.client.errors import UnknownWorkflow
from streams.engine.clients import connected_admin
from streams.engine.config import EngineConfig
from streams.engine.topics import partition_counts
from topology.diagnostics import suggestion
from topology.naming import (
    RESERVED_NODE_IDS,
    RUN_TABLE,
    TIMERS_TABLE,
    IllegalTopicName,
    changelog_topic,
    control_topic,
    dead_letter_topic,
    input_topic,
    journal_topic,
    node_table,
    output_topic,
    retry_topic,
    run_topic,
    tokens_topic,
    workflow_of_changelog,
)

_OWN_TABLES = frozenset(map(node_table, RESERVED_NODE_IDS))


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow as a broker has it: its partition count and the ids of its nodes, in no order."""

    id: str
    partitions: int
    nodes: tuple[str, ...]

    def changelogs(self) -> dict[str, str]:
        """Return every node's changelog."""
        return {node: changelog_topic(self.id, node_table(node)) for node in self.nodes}

    def run_changelog(self) -> str:
        """Return the changelog of the run table."""
        return changelog_topic(self.id, RUN_TABLE)


async def topics_on(config: EngineConfig) -> dict[str, int]:
    """Return every topic of the broker with its partition count."""
    async with connected_admin(config) as admin, connections.answering(config):
        return await partition_counts(admin)


def workflows_among(topics: Mapping[str, int]) -> dict[str, Workflow]:
    """Return the workflows that `topics` show, by id."""
    ids = sorted(found for topic in topics if (found := workflow_of_changelog(topic)) is not None)
    # The run table of `a-b` and the table of a node `b_run` of `a` have names of one form; only a workflow has a run topic.
    return {id_: _workflow(id_, topics) for id_ in ids if run_topic(id_) in topics}


def workflow_called(workflow_id: str, topics: Mapping[str, int]) -> Workflow:
    """Return one workflow; raise `UnknownWorkflow` if the broker does not have it."""
    found = workflows_among(topics)
    if workflow_id not in found:
        raise unknown(workflow_id, found)
    return found[workflow_id]


def uneven(workflow: Workflow, topics: Mapping[str, int]) -> str | None:
    """Say which topic has another partition count than the run's, so that a run's partition there is not known; None if none has."""
    own = [workflow.run_changelog(), *workflow.changelogs().values()]
    own += [journal_topic(workflow.id, node) for node in workflow.nodes]
    for topic in own:
        if topics[topic] != workflow.partitions:
            run = run_topic(workflow.id)
            return f"{topic} has {topics[topic]} partitions, {run} has {workflow.partitions}: is it being moved, or somebody else's?"
    return None


def unseen(workflow_id: str, topics: Iterable[str]) -> list[str]:
    """Return the topics that every workflow has and this one does not show: they were deleted, or ACLs hide them."""
    topics = set(topics)
    own = (input_topic, control_topic, run_topic, retry_topic, dead_letter_topic, output_topic)
    fixed = [name(workflow_id) for name in own]
    fixed += [changelog_topic(workflow_id, table) for table in (RUN_TABLE, TIMERS_TABLE)]
    return [topic for topic in fixed if topic not in topics]


def input_of(workflow_id: str, topics: Mapping[str, int]) -> str:
    """Return the input topic; raise `UnknownWorkflow` if it is not there."""
    return _public(input_topic, workflow_id, topics)


def output_of(workflow_id: str, topics: Mapping[str, int]) -> str:
    """Return the output topic; raise `UnknownWorkflow` if it is not there."""
    return _public(output_topic, workflow_id, topics)


def tokens_of(workflow_id: str, topics: Mapping[str, int]) -> str:
    """Return the topic of deltas; raise `UnknownWorkflow` if it is not there."""
    topic = tokens_topic(workflow_id)
    if topic not in topics:
        raise UnknownWorkflow(f"workflow {workflow_id!r} has no node with `stream: true`: nothing is said in {topic}")
    return topic


def unknown(workflow_id: str, known: Iterable[str]) -> UnknownWorkflow:
    """Return the error that says which workflows there are."""
    known = list(known)
    there = f"it has: {', '.join(known)}" if known else "it has none"
    hint = suggestion(workflow_id, known)
    return UnknownWorkflow(
        f"the broker has no workflow {workflow_id!r}{hint} ({there}): `penstock worker FILE` creates its topics"
    )


def _public(name: Callable[[str], str], workflow_id: str, topics: Mapping[str, int]) -> str:
    try:
        topic = name(workflow_id)
    except IllegalTopicName:
        topic = ""
    if topic not in topics:
        raise unknown(workflow_id, workflows_among(topics))
    return topic


def _workflow(workflow_id: str, topics: Mapping[str, int]) -> Workflow:
    return Workflow(workflow_id, topics[run_topic(workflow_id)], tuple(nodes_among(workflow_id, topics)))


def nodes_among(workflow_id: str, topics: Iterable[str]) -> list[str]:
    """Return the ids of the workflow's nodes: those with a changelog and a journal. A node id holds no `-`, a topic no `_`."""
    topics = set(topics)
    before, after = changelog_topic(workflow_id, "0").rsplit("0", 1)
    tables = {t[len(before) : -len(after)] for t in topics if t.startswith(before) and t.endswith(after)}
    nodes = sorted(table.replace("-", "_") for table in tables - _OWN_TABLES if table)
    return [node for node in nodes if journal_topic(workflow_id, node) in topics]
