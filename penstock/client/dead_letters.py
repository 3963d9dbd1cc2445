"""The dead letters of a workflow, and whether each was sent back already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from aiokafka import AIOKafkaConsumer

from penstock.client import reading
from penstock.client.dead_letter import DeadLetter, id_of_place, letter_in
from penstock.client.runs import runs_of
from penstock.client.workflows import Workflow
from schemas.headers import header
from schemas.records import RunRow
from topology.naming import dead_letter_topic

REDRIVEN_FROM = "penstock.redriven_from"
"""On an input that was sent back: `partition/offset` of its dead letter. Refused once more, it carries this into its next dead
letter, which then stands for both: or each redrive of all would double what cannot be used."""

Status = Literal["open", "redriven"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; None means any."""

    run_id: str | None = None
    node: str | None = None
    kind: str | None = None

    def has(self, letter: DeadLetter) -> bool:
        """Say whether the letter is one of them."""
        return (
            self.run_id in (None, letter.run_id, letter.subject)
            and self.node in (None, letter.node)
            and self.kind in (None, letter.kind)
        )


async def read(
    reader: AIOKafkaConsumer, workflow: Workflow, partitions: int, *, values: bool = True
) -> list[DeadLetter]:
    """Return every dead letter, the oldest first, each once (a crash may have repeated one); without `values`, to save memory."""
    repeats, found = reading.Repeats(), []
    async for record in reading.to_end(reader, reading.places_of(dead_letter_topic(workflow.id), partitions)):
        if repeats.is_new(record):
            letter = letter_in(record, workflow.id)
            found.append(letter if values else replace(letter, value=None))
    return sorted(found, key=lambda letter: (letter.timestamp, letter.at.partition, letter.at.offset))


async def rows(reader: AIOKafkaConsumer, workflow: Workflow) -> dict[str, RunRow]:
    """Return the rows of the workflow's runs, by run id."""
    return {state.row.run_id: state.row for state in await runs_of(reader, workflow)}


def with_status(letters: Iterable[DeadLetter], rows: Mapping[str, RunRow]) -> list[tuple[DeadLetter, Status]]:
    """Return `letters` with how they stand, going by their runs' rows; an input whose id another run took first gets its own."""
    letters = [_with_free_id(letter, rows) for letter in letters]
    replaced = {header(letter.headers, REDRIVEN_FROM) for letter in letters}
    return [
        (letter, "redriven" if letter.place in replaced or _was_redriven(letter, rows) else "open")
        for letter in letters
    ]


def _was_redriven(letter: DeadLetter, rows: Mapping[str, RunRow]) -> bool:
    """Say whether a run came of the input, or the node ran again. Of two nodes that failed a redrive reopens one: each has its epoch."""
    row = rows.get(letter.run_id or "")
    if row is None or not letter.redrivable or letter.is_input:
        return row is not None and letter.is_input
    outcome = row.nodes.get(letter.node or "")
    return (row.epoch if outcome is None else outcome.epoch) > (letter.epoch or 0)


def _with_free_id(letter: DeadLetter, rows: Mapping[str, RunRow]) -> DeadLetter:
    """Return an input under an id of its place if a run had its id before: no redrive could ever start another one under it."""
    row = rows.get(letter.run_id or "")
    if not letter.is_input or letter.source is None or row is None or (row.started_at or 0) >= letter.timestamp:
        return letter
    return replace(letter, run_id=id_of_place(letter.headers, letter.source))
