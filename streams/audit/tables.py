"""A changelog partition read in two ways: as its owner restores it, and as anybody else reads a compacted topic."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from schemas import headers as names
from schemas.codec import CodecError, decode
from schemas.headers import header
from schemas.records import Gathered, NodeOutcome, NodeRow, Position, Row, RunRow
from streams.audit.digests import digest
from streams.audit.report import Findings
from streams.audit.snapshot import Entry
from streams.core.changelog import MARKER_KEY, ChangelogFold
from streams.errors import UndecodableRecord


@dataclass(frozen=True, slots=True)
class Held:
    """A row, its texts replaced by digests, and the last record of its key."""

    row: Row
    at: Position


class Changelog:
    """One changelog partition. `believed` is the fold by owner epochs; `naive` the last records it does not believe."""

    def __init__(self, topic: str, partition: int) -> None:
        self._topic = topic
        self._partition = partition
        self._fold = ChangelogFold()
        self._naive: dict[str, Row | None] = {}
        self._last: dict[str, int] = {}

    def take(self, entry: Entry, findings: Findings) -> str | None:
        """Take the next record and return its row's key, None if it is no row's."""
        try:
            owner_epoch = int(header(entry.headers, names.OWNER_EPOCH) or 0)
            self._fold.take(entry.key or b"", entry.value, owner_epoch, "this record")
        except (UndecodableRecord, ValueError) as error:
            findings.add("c.undecodable", entry.position, str(error))
            return None
        key = (entry.key or b"").decode()
        self._note(key, entry)
        return None if entry.key == MARKER_KEY else key

    def _note(self, key: str, entry: Entry) -> None:
        self._last[key] = entry.offset
        if key in self._fold.overwritten:
            self._naive[key] = _short(_row(entry.value))
            return
        self._naive.pop(key, None)
        row = self._fold.rows.get(key)
        if row is not None:
            self._fold.rows[key] = row if (short := _short(row)) is None else short

    def row(self, key: str) -> Row | None:
        """Return the row of a key as its owner has it now."""
        return self._fold.rows.get(key)

    def rows(self) -> Iterator[tuple[str, Held]]:
        """Yield every row by its key."""
        for key, row in self._fold.rows.items():
            yield key, Held(row, Position(self._topic, self._partition, self._last[key]))

    def disagreements(self) -> Iterator[tuple[str, Position]]:
        """Yield keys whose last record is a former owner's and not what the owner has."""
        for key, row in self._naive.items():
            if row != self._fold.rows.get(key):
                yield key, Position(self._topic, self._partition, self._last[key])


def _row(value: bytes | None) -> Row | None:
    try:
        return None if value is None else decode(value)  # type: ignore[return-value]
    except CodecError:
        return None


def _short(row: Row | None) -> Row | None:
    """Return the row with digests for its texts (it may hold megabytes of what others said), and one copy of each string."""
    match row:
        case NodeRow():
            return replace(
                row,
                run_id=sys.intern(row.run_id),
                gathered={sys.intern(name): _short_source(got) for name, got in row.gathered.items()},
                incarnation=_one(row.incarnation),
                output=None if row.output is None else digest(row.output),
                model=_one(row.model),
                traceparent=_one(row.traceparent),
                plan_hash=_one(row.plan_hash),
            )
        case RunRow():
            return replace(
                row,
                run_id=sys.intern(row.run_id),
                input_hash=_one(row.input_hash),
                plan_hash=_one(row.plan_hash),
                traceparent=_one(row.traceparent),
                nodes={sys.intern(name): _short_outcome(outcome) for name, outcome in row.nodes.items()},
            )
        case _:
            return row


def _short_source(got: Gathered) -> Gathered:
    return got if got.output is None else replace(got, output=digest(got.output))


def _short_outcome(outcome: NodeOutcome) -> NodeOutcome:
    return outcome if outcome.output is None else replace(outcome, output=digest(outcome.output))


def _one(text: str | None) -> str | None:
    return None if text is None else sys.intern(text)
