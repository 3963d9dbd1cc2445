"""Which topics of a workflow are folded, and what each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from penstock.client.workflows import Workflow
from topology import naming

Kind = Literal["run rows", "node rows", "other rows", "journal", "results", "letters", "control", "plans"]


@dataclass(frozen=True, slots=True)
class Source:
    """A topic: `name` is the node of a journal or of node rows, the table of other rows."""

    topic: str
    partitions: int
    workflow: str
    kind: Kind
    name: str = ""


SHARED = ""
"""What stands for a workflow where a topic is of them all."""


def shared_sources(topics: Mapping[str, int]) -> list[Source]:
    """Return what is folded beside the workflows' own topics."""
    plans = naming.plans_topic()
    return [Source(plans, topics[plans], SHARED, "plans")] if plans in topics else []


def sources_of(workflow: Workflow, topics: Mapping[str, int]) -> list[Source]:
    """Return what is folded of a workflow; a topic that is not there yet is left out."""
    id_ = workflow.id
    named: list[tuple[str, Kind, str]] = [
        (naming.run_topic(id_), "journal", ""),
        (workflow.run_changelog(), "run rows", naming.RUN_TABLE),
        (naming.output_topic(id_), "results", ""),
        (naming.dead_letter_topic(id_), "letters", ""),
        (naming.control_topic(id_), "control", ""),
    ]
    for node, changelog in workflow.changelogs().items():
        named += [(naming.journal_topic(id_, node), "journal", node), (changelog, "node rows", node)]
    for table in (naming.TIMERS_TABLE, naming.LEDGER_TABLE):
        named.append((naming.changelog_topic(id_, table), "other rows", table))
    return [Source(topic, topics[topic], id_, kind, name) for topic, kind, name in named if topic in topics]
