"""What a replay will do: which runs are meant, which were sent back already, and what it takes at most."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from penstock.client import reading, runs
from penstock.client.errors import UnknownRun, WindowGone
from penstock.client.look import Look
from penstock.client.replay_window import Bound, Window, window
from penstock.client.runs import RunState
from penstock.client.workflows import Workflow, input_of
from schemas.codec import dumps, loads
from schemas.records import NodeOutcome, RunRow
from schemas.registered import input_of as input_of_record
from streams.core.dead_letter import iso
from streams.errors import RegistryError
from topology.expressions import Condition, ExpressionError
from topology.naming import control_topic

REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs, from which node on (None: as a whole), and whether recorded answers serve again."""

    run_ids: tuple[str, ...] = ()
    status: str | None = None
    where: Condition | None = None
    node: str | None = None
    reuse: bool = False

    def id_with(self, *more: str | None) -> str:
        """Return the same id for the same command, so that one that was interrupted finds what it has sent."""
        where = None if self.where is None else self.where.source
        said = [sorted(self.run_ids), self.status, where, self.node, self.reuse, *more]
        return hashlib.sha256(dumps(said).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier calls of the same command left in the control topic: `sent` has the epoch meant of each run."""

    id: str
    began_at: int
    sent: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Selection:
    """The runs that are meant, oldest first; how many `where` could not be evaluated on; the ids of all runs that there are."""

    states: list[RunState]
    unsure: int
    known: frozenset[str]
    began_at: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a replay takes at most: model calls and US dollars, None where a price is not known."""

    runs: int
    calls: int
    cost_usd: float | None


async def before(
    reader: AIOKafkaConsumer, workflow: Workflow, topics: Mapping[str, int], base: str, again: bool, now_ms: int
) -> Before:
    """Return what this replay, or with `again` a new one of the same command, has sent so far."""
    topic = control_topic(workflow.id)
    found: dict[str, tuple[int, dict[str, int]]] = {}
    async for record in reading.to_end(reader, reading.places_of(topic, topics[topic])):
        said = _command_in(record.value)
        if said is not None and str(said.get(REPLAY, "")).startswith(f"{base}-"):
            sent = found.setdefault(said[REPLAY], (int(said.get("began_at") or record.timestamp), {}))[1]
            sent[said["run_id"]] = int(said.get("epoch") or 0)
    count = len(found) + (1 if again or not found else 0)
    id_ = f"{base}-{count}"
    began_at, sent = found.get(id_, (now_ms, {}))
    return Before(id_, began_at, sent)


def _command_in(value: bytes | None) -> dict[str, Any] | None:
    try:
        said = loads(value or b"")
    except ValueError:
        return None
    ours = isinstance(said, dict) and said.get("type") == REPLAY and isinstance(said.get("run_id"), str)
    return said if ours else None


async def select(
    reader: AIOKafkaConsumer,
    workflow: Workflow,
    topics: Mapping[str, int],
    wanted: Wanted,
    bounds: tuple[Bound, Bound],
    began_at: int,
) -> Selection:
    """Return the runs that are meant.

    Raises:
        UnknownRun: a run that was named is not there.
        WindowGone: retention has eaten into what is meant.
    """
    listed = await runs.list_runs(reader, Look({workflow.id: workflow}))
    known = [state for state in listed if (state.row.started_at or 0) <= began_at]
    found = _named(known, wanted.run_ids) if wanted.run_ids else known
    if bounds != (None, None):
        topic = input_of(workflow.id, topics)
        inside = await window(reader, topic, topics[topic], *bounds)
        found = [state for state in found if _is_in(state.row, inside)]
    found = [state for state in found if wanted.status in (None, state.row.status)]
    _check_kept(found)
    found.reverse()
    there = frozenset(state.row.run_id for state in known)
    found, unsure = (found, 0) if wanted.where is None else await _where(reader, wanted.where, found)
    return Selection(found, unsure, there, began_at)


def _named(known: Iterable[RunState], run_ids: Sequence[str]) -> list[RunState]:
    found = [state for state in known if state.row.run_id in run_ids]
    missing = set(run_ids) - {state.row.run_id for state in found}
    if missing:
        raise UnknownRun(f"no run {min(missing)!r}: `penstock runs list` shows those that are there")
    return found


def _is_in(row: RunRow, inside: Window) -> bool:
    at = row.source
    return at is not None and inside.has(at.topic, at.partition, at.offset)


def _check_kept(found: Sequence[RunState]) -> None:
    """Refuse to replay runs whose state was dropped: never silently fewer than were asked for."""
    kept = [state for state in found if not state.row.retired]
    if len(kept) == len(found):
        return
    since = min((state.row.started_at or 0 for state in kept), default=None)
    left = "none is left" if since is None else f"{len(kept)} are left, the oldest of {iso(since)}"
    raise WindowGone(
        f"the state of {len(found) - len(kept)} of {len(found)} runs was dropped after state_retention_ms: {left}. Replay "
        "those with --from TIME or --run-id, and lengthen state_retention_ms for the next time"
    )


async def _where(reader: AIOKafkaConsumer, where: Condition, found: Sequence[RunState]) -> tuple[list[RunState], int]:
    """Keep the runs whose input fits; an input without what is asked about does not."""
    inputs = await inputs_of(reader, [state.row for state in found])
    kept, unsure = [], 0
    for state in found:
        try:
            if where.evaluate({"input": inputs[state.row.run_id]}):
                kept.append(state)
        except ExpressionError:
            unsure += 1
    return kept, unsure


async def inputs_of(reader: AIOKafkaConsumer, rows: Sequence[RunRow]) -> dict[str, Any]:
    """Return the input of each run, from the input topic; `WindowGone` if retention has deleted any."""
    at = {(row.source.topic, row.source.partition, row.source.offset): row.run_id for row in rows if row.source}
    found: dict[str, Any] = {}
    async for record in reading.among(reader, at):
        run_id = at.get((record.topic, record.partition, record.offset))
        if run_id is not None:
            found[run_id] = _input_of(record)
    gone = [row.run_id for row in rows if row.run_id not in found]
    if gone:
        raise WindowGone(
            f"the inputs of {len(gone)} of {len(rows)} runs were deleted by retention, that of run {gone[0]!r} "
            "among them: narrow the replay with --from"
        )
    return found


def _input_of(record: ConsumerRecord) -> Any:
    try:
        return input_of_record(record.value)
    except ValueError as error:
        place = f"{record.topic}/{record.partition}/{record.offset}"
        raise RegistryError(f"the input at {place} cannot be read: {error}. Is schema_registry_url set?") from error


def estimate(states: Sequence[RunState], node: str | None) -> Estimate:
    """Return what the runs took the last time in what is run again: of nodes at the side of `node`, too, so it is a bound."""
    outcomes = [outcome for state in states for outcome in _again(state.row, node)]
    asked = [outcome for outcome in outcomes if outcome.model is not None]
    costs = [outcome.spent.cost_usd for outcome in asked]
    cost = None if None in costs else sum(cost for cost in costs if cost is not None)
    return Estimate(len(states), sum(max(1, outcome.attempts) for outcome in asked), cost)


def _again(row: RunRow, node: str | None) -> list[NodeOutcome]:
    if node is None:
        return list(row.nodes.values())
    since = row.nodes.get(node, NodeOutcome()).started_at
    return [each for name, each in row.nodes.items() if name == node or (each.started_at or 0) >= (since or 0)]
