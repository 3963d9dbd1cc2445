"""What operators set of topics: how it ends up in their settings, and what is refused."""

from __future__ import annotations

import pytest

from tests.plans import CHAIN, plan_of
from topology.promises import DAY_MS
from topology.sizes import Override, Sizes, described, refusals, shared_config, unusable, wanted

PLAN = plan_of(CHAIN, state_retention_ms=DAY_MS)


def configs(sizes: Sizes) -> dict[str, dict[str, str]]:
    return {topic.name: dict(topic.config) for topic in wanted(PLAN, sizes)}


def test_topics_are_as_penstock_wants_them_unless_told_otherwise() -> None:
    found = configs(Sizes())
    assert found["wf.input"] == {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "16777216"}
    assert found["wf.a"]["message.timestamp.type"] == "LogAppendTime"
    assert found["penstock.wf-run-changelog"] == {
        "cleanup.policy": "compact",
        "max.message.bytes": "16777216",
        "min.compaction.lag.ms": "3600000",
    }


def test_what_is_set_for_a_purpose_holds_for_its_topics_alone() -> None:
    output = Override(30 * DAY_MS, "compact,delete", {"segment.bytes": "1048576"})
    found = configs(Sizes(3, 2, {"output": output}))
    assert {config["min.insync.replicas"] for config in found.values()} == {"2"}
    assert found["wf.output"]["retention.ms"] == str(30 * DAY_MS)
    assert found["wf.output"]["cleanup.policy"] == "compact,delete"
    assert found["wf.output"]["segment.bytes"] == "1048576"
    assert found["wf.input"]["retention.ms"] == "-1"
    assert shared_config(Sizes(3, 2))["min.insync.replicas"] == "2"


def test_what_is_described_is_what_is_made() -> None:
    shown = described(PLAN, Sizes(overrides={"output": Override(30 * DAY_MS, "compact")}))
    assert {(t.name, t.cleanup, t.retention_ms) for t in shown.topics if t.purpose == "output"} == {
        ("wf.output", "compact", 30 * DAY_MS)
    }
    assert shown.plan_hash == PLAN.plan_hash


@pytest.mark.parametrize(
    ("purpose", "override", "said"),
    [
        (
            "input",
            Override(1000),
            "topics.input.retention_ms: 1 second is too short: 'replay, redrive, fork' is promised for 1 day",
        ),
        ("journal", Override(2 * DAY_MS), "'workers that were away go on' is promised for 7 days"),
        ("control", Override(DAY_MS), "topics.control.retention_ms: 1 day is too short"),
        ("output", Override(1000), "'replay --shadow'"),
        ("input", Override(config={"retention.bytes": "1000"}), "topics.input.config.'retention.bytes'"),
        (
            "changelog",
            Override(config={"min.compaction.lag.ms": "1"}),
            "topics.changelog.config.'min.compaction.lag.ms'",
        ),
    ],
)
def test_what_breaks_a_promise_is_refused(purpose: str, override: Override, said: str) -> None:
    found = refusals(PLAN, Sizes(overrides={purpose: override}))
    assert any(said in line and "Do: " in line for line in found), found


@pytest.mark.parametrize(
    ("purpose", "override"),
    [
        ("input", Override(7 * DAY_MS)),
        ("output", Override(DAY_MS)),
        ("output", Override(config={"retention.bytes": "-1"})),
        ("tokens", Override(1000)),
        ("requests", Override(config={"retention.bytes": "1000"})),
    ],
)
def test_what_breaks_none_is_not(purpose: str, override: Override) -> None:
    assert refusals(PLAN, Sizes(overrides={purpose: override})) == []


@pytest.mark.parametrize(
    ("purpose", "override", "said"),
    [
        ("changelog", Override(cleanup="delete"), "cleanup: with 'delete' the state of runs would be lost"),
        ("changelog", Override(cleanup="compact,delete"), "cleanup: with 'delete'"),
        ("changelog", Override(1000), "retention_ms: a changelog is compacted"),
        ("journal", Override(cleanup="compact"), "cleanup: a run has several records under one key"),
        ("output", Override(config={"retention.ms": "1"}), "has a key of its own. Do: set retention_ms"),
        ("output", Override(config={"min.insync.replicas": "1"}), "Do: set min_insync_replicas"),
        ("journal", Override(config={"message.timestamp.type": "CreateTime"}), "a journal has the broker's clock"),
        ("run", Override(config={"max.message.bytes": "1000"}), "no workflow lives on less than 1048588 bytes"),
        ("run", Override(config={"retention.bytes": "many"}), "'many' is no whole number"),
        ("output", Override(1000, "compact"), None),
    ],
)
def test_what_no_workflow_can_live_with(purpose: str, override: Override, said: str | None) -> None:
    found = unusable(purpose, override)
    assert found == said if said is None else said in (found or "")
