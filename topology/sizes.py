"""What an operator sets of topics beside the workflow: copies, retention, cleanup; and what of it would break a promise.

None of it is part of a plan: it may differ from cluster to cluster, and no run depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from topology.limits import KAFKA_DEFAULT, TAKEN_IN, limits_of
from topology.plan import Cleanup, TopicPurpose, WorkflowPlan
from topology.promises import TRAVEL_MS, Shortfall, duration, promises_of, shortfalls

Purpose = TopicPurpose | Literal["changelog"]

PURPOSES: tuple[str, ...] = (*get_args(TopicPurpose), "changelog")

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""Producers allow it, and topics unless a claim check keeps what is large outside: a row with gathered inputs can be large."""
DEAD_LETTER_EXTRA = 1024 * 1024
"""A dead letter holds the whole record that could not be used, and the reason beside it."""

CLEANUP, RETENTION, SIZE = "cleanup.policy", "retention.ms", "retention.bytes"
LAG, IN_SYNC = "min.compaction.lag.ms", "min.insync.replicas"
LARGEST, CLOCK = "max.message.bytes", "message.timestamp.type"

MAY_COMPACT: frozenset[str] = frozenset({"output", "tokens", "requests", "changelog"})
"""Of the others a run has several records under one key, and each of them counts."""

HAS_KEY = {CLEANUP: "cleanup", RETENTION: "retention_ms"}
"""What `config` may not hold, for it has a key of its own."""


@dataclass(frozen=True, slots=True)
class Override:
    """What is set for all topics of a purpose: None and absent is Penstock's own choice."""

    retention_ms: int | None = None
    cleanup: Cleanup | None = None
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is set for topics; `replication_factor` None is the broker's."""

    replication_factor: int | None = None
    min_insync_replicas: int | None = None
    overrides: Mapping[str, Override] = field(default_factory=dict)

    def of(self, purpose: Purpose) -> Override:
        """Return what is set for a purpose."""
        return self.overrides.get(purpose, _NOTHING)


_NOTHING = Override()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it is to be: `config` has every setting that is not left to the broker."""

    name: str
    purpose: Purpose
    config: Mapping[str, str]


def wanted(plan: WorkflowPlan, sizes: Sizes) -> tuple[Wanted, ...]:
    """Return all that `worker` creates for a workflow: its topics, then its changelogs."""
    on_default = limits_of(plan).on_default
    topics = [
        Wanted(t.name, t.purpose, _config(t.purpose, t.cleanup, t.retention_ms, sizes, on_default)) for t in plan.topics
    ]
    changelog = _config("changelog", "compact", None, sizes, on_default)
    return (*topics, *(Wanted(table.changelog, "changelog", changelog) for table in plan.tables))


def shared_config(sizes: Sizes) -> dict[str, str]:
    """Return the settings of what all workflows share."""
    return {CLEANUP: "compact", LARGEST: str(MAX_RECORD_BYTES), **_in_sync(sizes)}


def described(plan: WorkflowPlan, sizes: Sizes) -> WorkflowPlan:
    """Return the plan with its topics as they will be: to be shown, not to be run."""
    topics = []
    for topic in plan.topics:
        own = sizes.of(topic.purpose)
        kept = topic.retention_ms if own.retention_ms is None else own.retention_ms
        topics.append(replace(topic, cleanup=own.cleanup or topic.cleanup, retention_ms=kept))
    return replace(plan, topics=tuple(topics))


def largest_record(purpose: Purpose, on_default: bool) -> int:
    """Return what a topic has to take; `on_default`: no more than Kafka does by itself."""
    if on_default:
        return TAKEN_IN if purpose in ("input", "control") else KAFKA_DEFAULT
    return MAX_RECORD_BYTES + (DEAD_LETTER_EXTRA if purpose == "dead-letter" else 0)


def _config(
    purpose: Purpose, cleanup: Cleanup, retention_ms: int | None, sizes: Sizes, on_default: bool
) -> dict[str, str]:
    own = sizes.of(purpose)
    kept = retention_ms if own.retention_ms is None else own.retention_ms
    return {
        CLEANUP: own.cleanup or cleanup,
        **({} if kept is None else {RETENTION: str(kept)}),
        LARGEST: str(largest_record(purpose, on_default)),
        **({LAG: str(TRAVEL_MS)} if purpose == "changelog" else {}),
        # One clock for a journal's order: producers' clocks differ.
        **({CLOCK: "LogAppendTime"} if purpose == "journal" else {}),
        **_in_sync(sizes),
        **own.config,
    }


def _in_sync(sizes: Sizes) -> dict[str, str]:
    return {} if sizes.min_insync_replicas is None else {IN_SYNC: str(sizes.min_insync_replicas)}


# ---- what would break a promise -------------------------------------------------------------------------------------


def refusals(plan: WorkflowPlan, sizes: Sizes) -> list[str]:
    """Return what cannot be for this workflow, as `topics.PURPOSE.KEY: why and what to do`."""
    config = {one.name: one.config for one in wanted(plan, sizes)}
    purpose_of = {one.name: one.purpose for one in wanted(plan, sizes)}
    kept = {
        name: {key: int(settings[key]) for key in (RETENTION, LAG) if key in settings}
        for name, settings in config.items()
    }
    short = [
        line
        for found in shortfalls(plan, kept)
        for purpose in dict.fromkeys(purpose_of[topic] for topic in found.kept_ms)
        if _is_set(sizes.of(purpose), found.promise.setting)
        for line in [_short(purpose, found, kept)]
    ]
    sized = [line for purpose in dict.fromkeys(purpose_of.values()) for line in _sized(plan, purpose, sizes)]
    narrow = [line for purpose in dict.fromkeys(purpose_of.values()) for line in _narrow(plan, purpose, sizes)]
    return [*short, *sized, *narrow]


def _is_set(own: Override, setting: str) -> bool:
    return own.retention_ms is not None if setting == RETENTION else setting in own.config


def _short(purpose: str, found: Shortfall, kept: Mapping[str, Mapping[str, int]]) -> str:
    promise = found.promise
    had = min(kept[topic][promise.setting] for topic in found.kept_ms)
    key = HAS_KEY.get(promise.setting, f"config.{promise.setting!r}")
    needed = "leave it out" if promise.needs_ms < 0 else f"set at least {promise.needs_ms}"
    lower = ", or a shorter state_retention_ms in the workflow" if promise.by == "state_retention_ms" else ""
    return (
        f"topics.{purpose}.{key}: {duration(had)} is too short: {promise.name!r} is promised for "
        f"{duration(promise.needs_ms)} ({promise.by}). Do: {needed}{lower}"
    )


def _sized(plan: WorkflowPlan, purpose: str, sizes: Sizes) -> Iterator[str]:
    """Yield a limit by size where a time is promised: nobody knows how soon it is reached."""
    size = sizes.of(purpose).config.get(SIZE)  # type: ignore[arg-type]
    promised = {topic for promise in promises_of(plan) if promise.setting == RETENTION for topic in promise.topics}
    if size is not None and int(size) >= 0 and any(t.purpose == purpose and t.name in promised for t in plan.topics):
        yield (
            f"topics.{purpose}.config.{SIZE!r}: records would be deleted before the time that is promised. "
            "Do: leave it out, and limit by retention_ms"
        )


def _narrow(plan: WorkflowPlan, purpose: Purpose, sizes: Sizes) -> Iterator[str]:
    """Yield a limit of records that is too small for what the workflow may write: that would stop its workers."""
    largest, needed = sizes.of(purpose).config.get(LARGEST), largest_record(purpose, limits_of(plan).on_default)
    if largest is not None and int(largest) < needed:
        yield (
            f"topics.{purpose}.config.{LARGEST!r}: records may have {needed} bytes. Do: leave it out, set more, or give the "
            "workflow a claim_check with a small above_bytes"
        )


def unusable(purpose: str, own: Override) -> str | None:
    """Return what no workflow can live with, as `KEY: why and what to do`; None if there is nothing."""
    if purpose == "changelog" and own.retention_ms is not None:
        return "retention_ms: a changelog is compacted: its rows stay as long as their runs. Do: leave it out"
    if purpose == "changelog" and own.cleanup not in (None, "compact"):
        return "cleanup: with 'delete' the state of runs would be lost. Do: leave it out, or say compact"
    if purpose not in MAY_COMPACT and own.cleanup not in (None, "delete"):
        return (
            "cleanup: a run has several records under one key, and each of them counts. Do: leave it out, or say delete"
        )
    for key, value in own.config.items():
        if key in HAS_KEY:
            return f"config.{key!r}: has a key of its own. Do: set {HAS_KEY[key]}"
        if key == IN_SYNC:
            return f"config.{key!r}: is one for all topics. Do: set min_insync_replicas"
        if key == CLOCK and purpose == "journal" and value != "LogAppendTime":
            return f"config.{key!r}: a journal has the broker's clock, for producers' clocks differ. Do: leave it out"
        if key in (SIZE, LAG, LARGEST) and not value.removeprefix("-").isdecimal():
            return f"config.{key!r}: {value!r} is no whole number"
        if key == LARGEST and int(value) < KAFKA_DEFAULT:
            return (
                f"config.{key!r}: no workflow lives on less than {KAFKA_DEFAULT} bytes. Do: leave it out, or set more"
            )
    return None
