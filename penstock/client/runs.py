"""The state of runs, folded from the changelogs: the same rows that the workers have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeGuard

from aiokafka import AIOKafkaConsumer, TopicPartition

from penstock.client import reading
from penstock.client.errors import AmbiguousRun, StateGone, UnknownRun
from penstock.client.look import Look
from penstock.client.workflows import Workflow
from schemas.records import NodeRow, Row, RunRow
from streams.core.changelog import ChangelogFold
from streams.core.dead_letter import iso
from streams.core.left_out import whole_run
from streams.engine.partitions import partition_of
from streams.engine.restore import take
from topology.naming import run_topic


@dataclass(frozen=True, slots=True)
class RunState:
    """A run and, where its nodes' rows were read, those by node id."""

    workflow: Workflow
    row: RunRow
    nodes: Mapping[str, NodeRow]


async def list_runs(reader: AIOKafkaConsumer, look: Look) -> list[RunState]:
    """Return every run that is looked at, without its nodes' rows, the newest first."""
    found = await look.each(partial(runs_of, reader))
    return sorted(found, key=lambda state: (-(state.row.started_at or 0), state.row.run_id))


async def runs_of(reader: AIOKafkaConsumer, workflow: Workflow) -> list[RunState]:
    """Return every run of a workflow, without its nodes' rows, in no order."""
    places = reading.places_of(workflow.run_changelog(), workflow.partitions)
    folded = (await fold(reader, places)).values()
    return [RunState(workflow, row, {}) for rows in folded for row in rows.values() if _is_run(row)]


async def find_run(reader: AIOKafkaConsumer, look: Look, run_id: str) -> RunState:
    """Return the run called `run_id`, without its nodes' rows; raise `UnknownRun` or, if two workflows have it, `AmbiguousRun`."""
    found = await look.together(partial(_called, reader, run_id))
    if not found:
        raise UnknownRun(_not_found(run_id, look))
    if len(found) > 1:
        ids = " and ".join(sorted(repr(state.workflow.id) for state in found))
        raise AmbiguousRun(f"run {run_id!r} is there in the workflows {ids}: say which with --workflow")
    return found[0]


async def _called(reader: AIOKafkaConsumer, run_id: str, workflows: Iterable[Workflow]) -> list[RunState]:
    places = {_place(workflow, workflow.run_changelog(), run_id): workflow for workflow in workflows}
    rows = {place: rows.get(run_id) for place, rows in (await fold(reader, list(places))).items()}
    return [RunState(places[place], row, {}) for place, row in rows.items() if _is_run(row)]


async def with_nodes(reader: AIOKafkaConsumer, state: RunState, until_ms: int | None = None) -> RunState:
    """Return the run with its nodes' rows; as they stood at `until_ms`, if that is told."""
    run_id = state.row.run_id
    places = {_place(state.workflow, topic, run_id): node for node, topic in state.workflow.changelogs().items()}
    folded = await fold(reader, list(places), until_ms)
    rows = {places[place]: rows.get(run_id) for place, rows in folded.items()}
    nodes = whole_run({node: row for node, row in rows.items() if isinstance(row, NodeRow)})
    return RunState(state.workflow, state.row, nodes)


async def as_of(reader: AIOKafkaConsumer, state: RunState, at_ms: int) -> RunState:
    """Return the run as it stood at epoch milliseconds, its nodes' rows with it.

    Raises:
        UnknownRun: it had not begun.
        StateGone: its rows of then were compacted away: a changelog keeps them for an hour at least, and only the last for good.
    """
    place = _place(state.workflow, state.workflow.run_changelog(), state.row.run_id)
    then = (await fold(reader, [place], at_ms))[place].get(state.row.run_id)
    if not _is_run(then):
        if (state.row.started_at or 0) > at_ms:
            raise UnknownRun(f"run {state.row.run_id!r} began at {iso(state.row.started_at or 0)}, after that")
        raise _gone(state.row.run_id, at_ms)
    now = await with_nodes(reader, state)
    found = await with_nodes(reader, RunState(state.workflow, then, {}), at_ms)
    lost = [node for node, row in now.nodes.items() if node not in found.nodes and _is_before(row, at_ms)]
    if lost:
        raise _gone(state.row.run_id, at_ms)
    return found


def _is_before(row: NodeRow, at_ms: int) -> bool:
    """Say whether a row that is there now must have been there then: rows come with the run's start, at once."""
    return row.started_at is not None and row.started_at <= at_ms


def _gone(run_id: str, at_ms: int) -> StateGone:
    return StateGone(
        f"the rows of run {run_id!r} as of {iso(at_ms)} were compacted away: of each row a changelog keeps what is younger than "
        "an hour, and the last one. Its journals still say what happened"
    )


async def time_at(reader: AIOKafkaConsumer, state: RunState, offset: int) -> int:
    """Return when the record at an offset of the run's own partition of `{wf}.run` was written; UnknownRun if there is none."""
    place = _place(state.workflow, run_topic(state.workflow.id), state.row.run_id)
    begin, end = (await reader.beginning_offsets([place]))[place], (await reader.end_offsets([place]))[place]
    if not begin <= offset < end:
        raise UnknownRun(f"{place.topic}/{place.partition} has no offset {offset}: it has {begin} to {end - 1}")
    reader.assign([place])
    reader.seek(place, offset)
    async for record in reading.forever(reader):
        return int(record.timestamp)
    raise AssertionError("reading.forever() ends by cancellation alone")


async def until_ended(reader: AIOKafkaConsumer, state: RunState) -> str:
    """Wait until the run has ended; return its status. It follows the run's row: a result is written before that, and may be missed."""
    place = _place(state.workflow, state.workflow.run_changelog(), state.row.run_id)
    await reading.begin(reader, [place], "earliest")
    fold = ChangelogFold()
    async for record in reading.forever(reader):
        take(fold, record)
        row = fold.rows.get(state.row.run_id)
        if record.key == state.row.run_id.encode() and isinstance(row, RunRow) and row.status != "running":
            return row.status
    raise AssertionError("reading.forever() ends by cancellation alone")


def _place(workflow: Workflow, topic: str, run_id: str) -> TopicPartition:
    return TopicPartition(topic, partition_of(run_id.encode(), workflow.partitions))


async def fold(
    reader: AIOKafkaConsumer, places: list[TopicPartition], until_ms: int | None = None
) -> dict[TopicPartition, dict[str, Row]]:
    """Return the rows of changelog partitions as their owners have them, or had them at `until_ms`."""
    folds: defaultdict[TopicPartition, ChangelogFold] = defaultdict(ChangelogFold)
    async for record in reading.to_end(reader, places):
        if until_ms is None or record.timestamp <= until_ms:
            take(folds[TopicPartition(record.topic, record.partition)], record)
    return {place: folds[place].rows for place in places}


def _is_run(row: Row | None) -> TypeGuard[RunRow]:
    """Say whether the row is of a run that started: a cancel may come before, and then there is nothing to show."""
    return isinstance(row, RunRow) and row.source is not None


def _not_found(run_id: str, look: Look) -> str:
    known = [id_ for id_ in look.workflows if id_ not in look.left_out]
    where = f"workflow {known[0]!r}" if len(known) == 1 else f"any of {len(known)} workflows"
    missed = f" (not looked at: {', '.join(map(repr, look.left_out))})" if look.left_out else ""
    return f"no run {run_id!r} in {where}{missed}: `penstock runs list` shows those that are there (a new one takes a moment)"
