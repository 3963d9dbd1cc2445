"""What Penstock promises for how long, and how long topics must keep records for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from topology.plan import TopicPurpose, WorkflowPlan

Setting = Literal["retention.ms", "min.compaction.lag.ms"]

DAY_MS = 86_400_000
FOR_EVER = -1
OUTAGE_MS = 7 * DAY_MS
"""As long as Kafka itself keeps the position of a group without members (`offsets.retention.minutes`)."""
TRAVEL_MS = 3_600_000
"""Rows stay uncompacted for an hour, longer than any worker can be a zombie: a restore must see who overwrote whom."""

CONSUMED: frozenset[TopicPurpose] = frozenset({"input", "control", "run", "journal", "retry", "effects", "routes"})


@dataclass(frozen=True, slots=True)
class Promise:
    """What holds for `needs_ms` (-1: for ever) if each of `topics` has at least that as its `setting`; `by` is what makes it shorter or longer."""

    name: str
    needs_ms: int
    by: str
    topics: tuple[str, ...]
    setting: Setting = "retention.ms"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A promise that does not hold: topics that keep records for less time than it needs, and for how long they do."""

    promise: Promise
    kept_ms: Mapping[str, int]


def promises_of(plan: WorkflowPlan) -> tuple[Promise, ...]:
    """Return what is promised for a workflow."""

    def of(*purposes: TopicPurpose) -> tuple[str, ...]:
        return tuple(topic.name for topic in plan.topics if topic.purpose in purposes)

    state, by_state = plan.state_retention_ms, "state_retention_ms"
    reviewed = tuple(node.topic for node in plan.nodes if node.review is not None)
    found = (
        Promise("replay, redrive, fork", state, by_state, of("input", "run", "journal")),
        Promise("replay --shadow", state, by_state, of("output")),
        Promise("dead-letter redrive", state, by_state, of("dead-letter")),
        Promise("audit verify", FOR_EVER, "as long as decisions are to be proved", reviewed),
        Promise("workers that were away go on", OUTAGE_MS, "the longest outage", of(*CONSUMED)),
        Promise(
            "runs show --at",
            TRAVEL_MS,
            "how far back, but for the last state",
            tuple(table.changelog for table in plan.tables),
            "min.compaction.lag.ms",
        ),
    )
    return tuple(promise for promise in found if promise.topics)


def shortfalls(plan: WorkflowPlan, kept: Mapping[str, Mapping[str, int]]) -> Iterator[Shortfall]:
    """Yield the promises that do not hold with the settings that topics have: `kept` by topic and setting; what is not told is enough."""
    for promise in promises_of(plan):
        found = {topic: kept.get(topic, {}).get(promise.setting, FOR_EVER) for topic in promise.topics}
        short = {topic: had for topic, had in found.items() if is_shorter(had, promise.needs_ms)}
        if short:
            yield Shortfall(promise, short)


def is_shorter(kept_ms: int, needs_ms: int) -> bool:
    """Say whether a time is less than another; a negative one is for ever."""
    return kept_ms >= 0 and (needs_ms < 0 or kept_ms < needs_ms)


def duration(milliseconds: int) -> str:
    """Return a time as people read it, in the largest unit that it is a whole number of."""
    if milliseconds < 0:
        return "for ever"
    for unit, size in (("days", DAY_MS), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1000)):
        if milliseconds >= size and milliseconds % size == 0:
            count = milliseconds // size
            return f"{count} {unit if count > 1 else unit[:-1]}"
    return f"{milliseconds} ms"
