"""Names: what Kafka allows, and the prefix that all of them have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plans import CHAIN, plan_of
from topology import naming
from topology.naming import IllegalTopicName, legal_prefix, use_prefix


@pytest.fixture(autouse=True)
def _no_prefix_afterwards() -> Iterator[None]:
    yield
    use_prefix("")


def test_every_name_begins_with_the_prefix() -> None:
    use_prefix("team_a")
    plan = plan_of(CHAIN)
    names = [topic.name for topic in plan.topics] + [table.changelog for table in plan.tables]
    names += [naming.plans_topic(), naming.provider_states_topic(), naming.consumer_group("wf")]
    assert all(name.startswith("team_a.") for name in names)
    assert plan.topic("input") == "team_a.wf.input"
    assert naming.consumer_group("wf") == "team_a.penstock.wf"
    assert naming.changelog_topic("wf", "run") == "team_a.penstock.wf-run-changelog"


def test_without_a_prefix_names_are_as_they_were() -> None:
    assert naming.input_topic("wf") == "wf.input"
    assert naming.plans_topic() == "penstock.plans"
    assert naming.consumer_group("wf") == "penstock.wf"


@pytest.mark.parametrize(
    ("text", "prefix"), [("", ""), ("a", "a."), ("a.", "a."), ("a-", "a-"), ("a_", "a_"), ("org.team9", "org.team9.")]
)
def test_what_a_prefix_means(text: str, prefix: str) -> None:
    assert legal_prefix(text) == prefix


@pytest.mark.parametrize(
    "text", [".", ".a", "-a", "a b", "a/b", "ä", "a..b.", "a..", "penstock", "penstock.x.", "a" * 101]
)
def test_what_no_prefix_can_be(text: str) -> None:
    with pytest.raises(IllegalTopicName):
        legal_prefix(text)


def test_workflows_are_found_under_the_own_prefix_alone() -> None:
    found = naming.workflow_of_changelog
    theirs, ours = "team-a.penstock.wf-run-changelog", "penstock.wf-run-changelog"
    assert (found(ours), found(theirs), found("penstock.penstock.wf-run-changelog")) == ("wf", None, None)
    use_prefix("team-a.")
    assert (found(ours), found(theirs), found("team-a.x.penstock.wf-run-changelog")) == (None, "wf", None)


def test_a_name_that_gets_too_long() -> None:
    use_prefix("p" * 99)
    with pytest.raises(IllegalTopicName, match=r"has 250 characters, Kafka allows 249"):
        naming.input_topic("w" * (249 - 100 - 5))
