"""Which worker gets which partitions: faust's co-partitioned sticky assignor inside aiokafka's group protocol.

Every topic with the same partition count moves together, so a run's journals and tables are on one worker. Members send who
they are and what they hold; the leader sends everybody who is alive, so that a new owner can tell a slow predecessor from a dead one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from faust.assignor.client_assignment import CopartitionedAssignment
from faust.assignor.copartitioned_assignor import CopartitionedAssignor

Held = dict[int, list[int]]
"""Partition count of a set of co-partitioned topics -> the partitions held."""


class PenstockAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """One per worker and workflow."""

    name = "penstock-copartitioned"

    def __init__(self, incarnation: str) -> None:
        self._incarnation = incarnation
        self._held: Held = {}
        self.draining = False
        self.live: frozenset[str] = frozenset({incarnation})

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Say who this member is and what it holds."""
        held = {str(count): partitions for count, partitions in self._held.items()}
        said = {"incarnation": self._incarnation, "draining": self.draining, "held": held}
        return ConsumerProtocolMemberMetadata(0, sorted(topics), orjson.dumps(said))

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember what was assigned and who is alive."""
        told = orjson.loads(assignment.user_data)
        self.live = frozenset(told["live"])
        self._held = {int(count): partitions for count, partitions in told["held"].items()}

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Assign every partition of every topic; called on the leader only."""
        said = {member: orjson.loads(metadata.user_data) for member, metadata in members.items()}
        topics = sorted({topic for metadata in members.values() for topic in metadata.subscription})
        takers = [member for member in sorted(members) if not said[member]["draining"]] or sorted(members)
        by_count: defaultdict[int, list[str]] = defaultdict(list)
        for topic in topics:
            by_count[len(cluster.partitions_for_topic(topic) or ())].append(topic)
        by_count.pop(0, None)
        held: dict[str, Held] = {member: {} for member in members}
        for count, together in by_count.items():
            for member, partitions in _share(together, count, takers, said).items():
                held[member][count] = partitions
        live = sorted(entry["incarnation"] for entry in said.values())
        return {member: _assignment(by_count, held[member], live) for member in members}


def _share(topics: list[str], count: int, takers: list[str], said: Mapping[str, Any]) -> dict[str, list[int]]:
    """Return each taker's partitions of a set of co-partitioned topics, as few moved as balance allows."""
    before = {member: [p for p in said[member]["held"].get(str(count), ()) if p < count] for member in takers}
    now = {member: CopartitionedAssignment(set(before[member]), set(), set(topics)) for member in takers}
    shared = CopartitionedAssignor(topics, now, count, replicas=0).get_assignment()
    return {member: sorted(shared[member].actives) for member in takers}


def _assignment(by_count: Mapping[int, list[str]], held: Held, live: list[str]) -> ConsumerProtocolMemberAssignment:
    places = [(topic, held[count]) for count, topics in by_count.items() if held.get(count) for topic in topics]
    told = {"live": live, "held": {str(count): partitions for count, partitions in held.items()}}
    return ConsumerProtocolMemberAssignment(0, places, orjson.dumps(told))
