"""Who gets which partitions (PROTOCOL.md 7): what belongs together moves together, and as little as balance allows."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from streams.engine.assignor import PenstockAssignor

TOPICS = {"wf.run": 12, "wf.a": 12, "wf.b": 12, "wf.output": 12, "wf.input": 5, "wf.control": 1}


class Cluster(ClusterMetadata):  # type: ignore[misc]
    """Knows how many partitions topics have, and nothing else."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        super().__init__()
        self._counts = counts

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self._counts[topic])) if topic in self._counts else None


class Group:
    """Workers by name and what a rebalance gives them; the leader is the first."""

    def __init__(self, counts: Mapping[str, int] = TOPICS) -> None:
        self.cluster = Cluster(counts)
        self.topics = sorted(counts)
        self.workers: dict[str, PenstockAssignor] = {}

    def join(self, *names: str) -> None:
        for name in names:
            self.workers[name] = PenstockAssignor(f"{name}!")

    def rebalance(self) -> dict[str, dict[str, list[int]]]:
        """Return each worker's partitions by topic, and tell it."""
        said: dict[str, ConsumerProtocolMemberMetadata] = {
            name: worker.metadata(self.topics) for name, worker in self.workers.items()
        }
        told = next(iter(self.workers.values())).assign(self.cluster, said)
        for name, worker in self.workers.items():
            worker.on_assignment(told[name])
        return {name: dict(assignment.assignment) for name, assignment in told.items()}


def check(group: Group, found: Mapping[str, Mapping[str, list[int]]]) -> None:
    """Check that every partition of every topic is given out once, and that equal counts move together."""
    for topic, count in group.cluster._counts.items():
        given = [partition for held in found.values() for partition in held.get(topic, [])]
        assert sorted(given) == list(range(count)), topic
    for held in found.values():
        for topics in ({"wf.run", "wf.a", "wf.b", "wf.output"},):
            assert len({tuple(held.get(topic, [])) for topic in topics}) == 1


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 12, 15])
def test_everything_is_given_out_once_and_evenly(workers: int) -> None:
    group = Group()
    group.join(*(f"w{n}" for n in range(workers)))
    found = group.rebalance()
    check(group, found)
    sizes = [len(held.get("wf.run", [])) for held in found.values()]
    assert max(sizes) - min(sizes) <= 1


def test_nothing_moves_when_nobody_came_or_went() -> None:
    group = Group()
    group.join("a", "b", "c")
    assert group.rebalance() == group.rebalance()


def test_a_third_worker_takes_a_third_and_the_others_keep_theirs() -> None:
    group = Group()
    group.join("a", "b")
    before = group.rebalance()
    group.join("c")
    after = group.rebalance()
    check(group, after)
    assert len(after["c"]["wf.run"]) == 4
    for name in "ab":
        assert set(after[name]["wf.run"]) < set(before[name]["wf.run"])


def test_a_dead_worker_s_partitions_are_shared_and_nothing_else_moves() -> None:
    group = Group()
    group.join("a", "b", "c")
    before = group.rebalance()
    del group.workers["b"]
    after = group.rebalance()
    check(group, after)
    for name in "ac":
        assert set(after[name]["wf.run"]) > set(before[name]["wf.run"])
        assert len(after[name]["wf.run"]) == 6


def test_a_draining_worker_gets_nothing() -> None:
    group = Group()
    group.join("a", "b", "c")
    group.rebalance()
    group.workers["b"].draining = True
    after = group.rebalance()
    check(group, after)
    assert after["b"] == {}


def test_when_all_drain_somebody_must_read_on() -> None:
    group = Group()
    group.join("a", "b")
    for worker in group.workers.values():
        worker.draining = True
    check(group, group.rebalance())


def test_everybody_is_told_who_is_alive() -> None:
    """Those that drain, too: they still finish what they began."""
    group = Group()
    group.join("a", "b", "c")
    group.workers["c"].draining = True
    group.rebalance()
    assert {worker.live for worker in group.workers.values()} == {frozenset({"a!", "b!", "c!"})}
    del group.workers["a"]
    group.rebalance()
    assert group.workers["b"].live == frozenset({"b!", "c!"})


def test_before_the_first_assignment_a_worker_knows_of_itself() -> None:
    assert PenstockAssignor("me").live == frozenset({"me"})


def test_a_zombie_that_claims_another_s_partitions_takes_none_twice() -> None:
    group = Group()
    group.join("a", "b")
    group.rebalance()
    group.workers["b"]._held = dict(group.workers["a"]._held)
    check(group, group.rebalance())


@pytest.mark.parametrize("claim", [list(range(40)), [0, 0, 0], []], ids=["beyond the count", "twice", "nothing"])
def test_any_claim_is_survived(claim: list[int]) -> None:
    group = Group()
    group.join("a", "b")
    group.rebalance()
    group.workers["b"]._held = {12: claim, 99: [1, 2]}
    check(group, group.rebalance())


def test_a_topic_that_is_not_there_yet_is_left_out() -> None:
    group = Group()
    group.join("a")
    group.topics = [*group.topics, "wf.later"]
    assert "wf.later" not in group.rebalance()["a"]


def test_what_a_member_says_is_json() -> None:
    """Another version, or another program, must be able to read it."""
    said = PenstockAssignor("me").metadata(["b", "a"])
    assert said.subscription == ["a", "b"]
    assert orjson.loads(said.user_data) == {"incarnation": "me", "draining": False, "held": {}}
