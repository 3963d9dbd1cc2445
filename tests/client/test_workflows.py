"""Workflows told from topic names: a workflow's id may begin like another's, and a node may be called like a table."""

from collections.abc import Iterable

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from penstock.client import workflows
from penstock.client.errors import UnknownWorkflow
from penstock.client.look import look_at
from streams.errors import KeyMissing
from tests.plans import CHAIN, plan_of
from topology.naming import changelog_topic, input_topic, journal_topic, node_table, output_topic, run_topic


def topics_of(workflow: str, *nodes: str, partitions: int = 4) -> dict[str, int]:
    """Return the topics that a worker creates, as far as these functions look at them."""
    names = [input_topic(workflow), run_topic(workflow), output_topic(workflow)]
    names += [changelog_topic(workflow, table) for table in ("run", "timers")]
    for node in nodes:
        names += [journal_topic(workflow, node), changelog_topic(workflow, node_table(node))]
    return dict.fromkeys(names, partitions)


def test_workflows_and_their_nodes() -> None:
    topics = topics_of("a", "x", "long_name", "b_run") | topics_of("a-b", "x", partitions=2) | {"orders": 9}
    found = workflows.workflows_among(topics)
    assert set(found) == {"a", "a-b"}
    assert found["a"].nodes == ("b_run", "long_name", "x")
    assert (found["a-b"].nodes, found["a-b"].partitions) == (("x",), 2)
    assert found["a"].changelogs()["long_name"] == "penstock.a-long-name-changelog"


def test_a_node_called_like_another_workflows_run_table_is_no_workflow() -> None:
    assert set(workflows.workflows_among(topics_of("a", "b_run"))) == {"a"}


def test_unknown() -> None:
    topics = topics_of("invoices", "x")
    assert workflows.input_of("invoices", topics) == "invoices.input"
    with pytest.raises(UnknownWorkflow, match=r"'invoice', did you mean 'invoices'\? \(it has: invoices\)"):
        workflows.output_of("invoice", topics)
    with pytest.raises(UnknownWorkflow, match="it has none"):
        workflows.input_of("no such_name", {})
    assert set(look_at(None, topics, print).workflows) == {"invoices"}
    with pytest.raises(UnknownWorkflow):
        look_at("x", topics, print)


def test_a_workflow_with_topics_of_another_partition_count_is_left_out_unless_it_is_named() -> None:
    topics = topics_of("a", "x") | topics_of("b", "x") | {changelog_topic("b", node_table("x")): 3}
    told: list[str] = []
    look = look_at(None, topics, told.append)
    assert (set(look.workflows), set(look.left_out)) == ({"a"}, {"b"})
    assert told == [
        "workflow 'b' is left out: penstock.b-x-changelog has 3 partitions, b.run has 4: is it being moved, or somebody else's?"
    ]
    assert set(look_at("b", topics, told.append).workflows) == {"b"}


def test_topics_that_an_audit_does_not_see_are_told() -> None:
    plan = plan_of(CHAIN, "w")
    topics = {topic.name for topic in plan.topics} | {table.changelog for table in plan.tables}
    assert workflows.unseen("w", topics) == []
    assert workflows.unseen("w", topics - {"w.dead-letter", "penstock.w-timers-changelog"}) == [
        "w.dead-letter",
        "penstock.w-timers-changelog",
    ]


async def test_a_workflow_that_cannot_be_read_is_left_out_unless_it_is_named() -> None:
    async def ask(some: Iterable[workflows.Workflow]) -> list[str]:
        for one in some:
            if one.id == "b":
                raise KeyMissing("a key is missing")
            if one.id == "c":
                raise TopicAuthorizationFailedError("c.run")
        return [one.id for one in some]

    topics = {topic: count for id_ in "abcd" for topic, count in topics_of(id_, "x").items()}
    told: list[str] = []
    look = look_at(None, topics, told.append)
    assert await look.together(ask) == ["a", "d"]
    assert told == [
        "workflow 'b' is left out: a key is missing",
        "workflow 'c' is left out: this client may not read topic 'c.run'",
    ]
    with pytest.raises(KeyMissing):
        await look_at("b", topics, told.append).together(ask)
