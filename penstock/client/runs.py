"""The state of runs, folded from the changelogs: the same rows that the workers have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from aiokafka import AIOKafkaConsumer, TopicPartition

from penstock.client import reading
from penstock.client.errors import AmbiguousRun, UnknownRun
from penstock.client.workflows import Workflow
from schemas.records import NodeRow, Row, RunRow
from streams.core.changelog import ChangelogFold
from streams.engine.engine import partition_of
from streams.engine.restore import take


@dataclass(frozen=True, slots=True)
class RunState:
    """A run and, where its nodes' rows were read, those by node id."""

    workflow: Workflow
    row: RunRow
    nodes: Mapping[str, NodeRow]


async def list_runs(reader: AIOKafkaConsumer, workflows: Iterable[Workflow]) -> list[RunState]:
    """Return every run of `workflows`, without its nodes' rows, the newest first."""
    found: list[RunState] = []
    for workflow in workflows:
        places = reading.places_of(workflow.run_changelog(), workflow.partitions)
        for rows in (await fold(reader, places)).values():
            found += [RunState(workflow, row, {}) for row in rows.values() if _is_run(row)]
    return sorted(found, key=lambda state: (-(state.row.started_at or 0), state.row.run_id))


async def find_run(reader: AIOKafkaConsumer, workflows: Mapping[str, Workflow], run_id: str) -> RunState:
    """Return the run called `run_id`, without its nodes' rows; raise `UnknownRun` or, if two workflows have it, `AmbiguousRun`."""
    places = {_place(workflow, workflow.run_changelog(), run_id): workflow for workflow in workflows.values()}
    found = []
    for place, rows in (await fold(reader, list(places))).items():
        row = rows.get(run_id)
        if _is_run(row):
            found.append(RunState(places[place], row, {}))
    if not found:
        raise UnknownRun(_not_found(run_id, workflows))
    if len(found) > 1:
        ids = " and ".join(sorted(repr(state.workflow.id) for state in found))
        raise AmbiguousRun(f"run {run_id!r} is there in the workflows {ids}: say which with --workflow")
    return found[0]


async def with_nodes(reader: AIOKafkaConsumer, state: RunState) -> RunState:
    """Return the run with its nodes' rows."""
    run_id = state.row.run_id
    places = {_place(state.workflow, topic, run_id): node for node, topic in state.workflow.changelogs().items()}
    folded = await fold(reader, list(places))
    rows = {places[place]: rows.get(run_id) for place, rows in folded.items()}
    return RunState(state.workflow, state.row, {node: row for node, row in rows.items() if isinstance(row, NodeRow)})


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


async def fold(reader: AIOKafkaConsumer, places: list[TopicPartition]) -> dict[TopicPartition, dict[str, Row]]:
    """Return the rows of changelog partitions as their owners have them."""
    folds: defaultdict[TopicPartition, ChangelogFold] = defaultdict(ChangelogFold)
    async for record in reading.to_end(reader, places):
        take(folds[TopicPartition(record.topic, record.partition)], record)
    return {place: folds[place].rows for place in places}


def _is_run(row: Row | None) -> TypeGuard[RunRow]:
    """Say whether the row is of a run that started: a cancel may come before, and then there is nothing to show."""
    return isinstance(row, RunRow) and row.source is not None


def _not_found(run_id: str, workflows: Mapping[str, Workflow]) -> str:
    where = f"workflow {next(iter(workflows))!r}" if len(workflows) == 1 else f"any of {len(workflows)} workflows"
    return f"no run {run_id!r} in {where}: `penstock runs list` shows those that are there (a new one takes a moment)"
