"""What the topics say of a run: its starts, its end, its results, and the stories of its nodes."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from schemas.records import Finished, Position, Started
from streams.audit.digests import digest, meaning
from streams.audit.story import NodeStory


@dataclass(frozen=True, slots=True)
class Start:
    """A `Started`, without its texts."""

    at: Position
    source: Position
    source_key: bytes | None
    input: str
    input_meaning: str | None
    input_hash: str
    plan_hash: str
    version: str
    started_at: int
    traceparent: str


def start_of(record: Started, at: Position) -> Start:
    """Return what the audit keeps of a `Started`."""
    return Start(
        at,
        record.source,
        record.source_key,
        digest(record.input),
        meaning(record.input),
        sys.intern(record.input_hash),
        sys.intern(record.plan_hash),
        sys.intern(record.workflow_version),
        record.started_at,
        sys.intern(record.traceparent),
    )


@dataclass(frozen=True, slots=True)
class Result:
    """A record of the output topic: `outputs` has digests of meanings, `rest` is the object without them, as JSON, packed."""

    at: Position
    ce_id: str | None
    digest: str
    epoch: object
    outputs: dict[str, str]
    rest: bytes


@dataclass(slots=True)
class RunStory:
    """One run: the first of `starts` counts. `unsettled`: a record of its is not consumed yet. `judged`: its journals are whole."""

    run_id: str
    partition: int
    judged: bool
    starts: list[Start] = field(default_factory=list)
    cancels: list[Position] = field(default_factory=list)
    finishes: list[tuple[Finished, Position]] = field(default_factory=list)
    nodes: dict[tuple[str, int], NodeStory] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    unsettled: bool = False

    @property
    def start(self) -> Start | None:
        """The one that counts."""
        return self.starts[0] if self.starts else None

    def node(self, node: str, epoch: int = 0) -> NodeStory:
        """Return a node's story; an empty one if its journal has nothing of this run."""
        return self.nodes.get((node, epoch)) or NodeStory()
