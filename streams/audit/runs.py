"""What the topics say of a run: its starts, its end, its results, and the stories of its nodes."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace

from schemas.codec import loads
from schemas.records import EpochOpened, Finished, Position, Spent, Started
from streams.audit.digests import digest, meaning
from streams.audit.story import NodeStory, Standing


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
    commands: list[Position] = field(default_factory=list)
    """The control records that became something: a command, or the refusal of one."""
    opened: list[tuple[EpochOpened, Position]] = field(default_factory=list)
    finishes: list[tuple[Finished, Position]] = field(default_factory=list)
    nodes: dict[tuple[str, int], NodeStory] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    unsettled: bool = False

    @property
    def start(self) -> Start | None:
        """The one that counts."""
        return self.starts[0] if self.starts else None

    @property
    def epoch(self) -> int:
        """The last epoch that was opened."""
        return max((record.epoch for record, _ in self.opened), default=0)

    def epoch_of(self, node: str, epoch: int) -> int:
        """Return the epoch whose end of `node` counts in `epoch`: the last one, up to it, that reopened the node."""
        return max((r.epoch for r, _ in self.opened if r.epoch <= epoch and node in r.reopen), default=0)

    def version_in(self, epoch: int) -> str | None:
        """Return the hash of the plan that `epoch` began with."""
        first = self.start.plan_hash if self.start else None
        return next((record.plan_hash for record, _ in self.opened if record.epoch == epoch), first)

    def node(self, node: str, epoch: int = 0) -> NodeStory:
        """Return a node's story as it counts in `epoch`; an empty one if its journal has nothing of this run."""
        return self.nodes.get((node, self.epoch_of(node, epoch))) or NodeStory()

    def standing(self, node: str, epoch: int) -> Standing:
        """Return how a node stands in `epoch` for the run: what it spent is of all epochs up to then."""
        before = [story.standing.spent for (of, at), story in self.nodes.items() if of == node and at <= epoch]
        return replace(self.node(node, epoch).standing, spent=sum(before, Spent()))

    def finish(self, epoch: int) -> tuple[Finished, Position] | None:
        """Return the first `Finished` of an epoch."""
        return next((found for found in self.finishes if found[0].epoch == epoch), None)

    def edited(self, epoch: int) -> frozenset[str]:
        """Return what redrives up to `epoch` changed of what nodes see."""
        edits = [loads(r.edit) for r, _ in self.opened if r.edit is not None and r.epoch <= epoch]
        return frozenset(name for edit in edits if isinstance(edit, dict) for name in edit)
