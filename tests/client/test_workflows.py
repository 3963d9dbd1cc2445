"""Workflows told from topic names: a workflow's id may begin like another's, and a node may be called like a table."""

import pytest

from penstock.client import workflows
from penstock.client.errors import UnknownWorkflow
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
    assert set(workflows.some(None, topics)) == {"invoices"}
    with pytest.raises(UnknownWorkflow):
        workflows.some("x", topics)
