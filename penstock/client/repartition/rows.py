"""What becomes of a changelog's records when runs get other partitions. Pure: in which order they come is `copying.py`'s matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from aiokafka import ConsumerRecord

from schemas import headers as names
from schemas.codec import decode, encode
from schemas.headers import Headers, header, headers_of
from schemas.records import DayRow, LeaseRow, OwnerMarker, Row, RunRow, WaiterRow
from streams.core.changelog import MARKER_KEY
from streams.core.ledger import DAY

PartitionOf = Callable[[bytes], int]
"""The new partition of a key."""

INCARNATION = "penstock-repartition"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record and where it goes."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int


@dataclass(slots=True)
class MovedRows:
    """One table's records, read in order of time: those that count go where their run went, as they are.

    `ends` are the ends of the new run topic: up to there a run's row knows what its journal says.
    """

    partition_of: PartitionOf
    count: int
    ends: Mapping[int, int]
    highest: dict[int, int] = field(default_factory=dict)
    placed: dict[bytes, int] = field(default_factory=dict)
    days: dict[tuple[str, int], DayRow] = field(default_factory=dict)

    def take(self, record: ConsumerRecord) -> Outgoing | None:
        """Return where a record goes and what it is then; None for one that counts no more, or not here."""
        key, row = record.key or b"", None if record.value is None else decode(record.value)
        if isinstance(row, OwnerMarker):
            self.highest[record.partition] = max(self.highest.get(record.partition, 0), row.owner_epoch)
            return None
        if int(header(record.headers, names.OWNER_EPOCH) or 0) < self.highest.get(record.partition, 0):
            return None  # a worker's that had lost the partition
        if isinstance(row, DayRow):
            self.days[(row.day, record.partition)] = row
            return None
        if row is None:
            self.days.pop((key.decode(errors="replace").removeprefix(DAY), record.partition), None)
            return self._tombstone(record, key)
        partition = self.placed[key] = self.partition_of(_owner_of(row))  # type: ignore[arg-type]
        value = encode(moved(row, self.ends[partition])) if isinstance(row, RunRow) else record.value
        return Outgoing(partition, key, value, tuple(record.headers), record.timestamp)

    def _tombstone(self, record: ConsumerRecord, key: bytes) -> Outgoing | None:
        """Return the end of a row that was moved; of one that was compacted away there is nothing to end."""
        partition = self.placed.get(key)
        return None if partition is None else Outgoing(partition, key, None, tuple(record.headers), record.timestamp)

    def last(self, now: int) -> Iterator[Outgoing]:
        """Yield what comes at the end: what the partitions have spent on each day together, and in each the marker of this move.

        Its owner epoch is above all others: should a worker of old still write, its rows do not count.
        """
        epoch = max(self.highest.values(), default=0) + 1
        headers = headers_of({names.OWNER_EPOCH: epoch})
        for day in dict.fromkeys(day for day, _ in self.days):
            row = summed(row for (of, _), row in self.days.items() if of == day)
            yield Outgoing(0, f"{DAY}{day}".encode(), encode(row), headers, now)
        for partition in range(self.count):
            yield Outgoing(partition, MARKER_KEY, encode(OwnerMarker(epoch, INCARNATION)), headers, now)


def moved(row: RunRow, end: int) -> RunRow:
    """Return a run's row for a run topic whose offsets began anew: epochs go on above those there were, what was read is known."""
    return replace(row, seen=end - 1, epochs_from=row.epoch + 1 if row.epoch else 0)


def summed(rows: Iterator[DayRow]) -> DayRow:
    """Return what several partitions used on one day."""
    found = list(rows)
    return DayRow(
        found[0].day,
        sum(row.spent_tokens for row in found),
        sum(row.spent_cost_usd for row in found),
        sum(row.reserved_tokens for row in found),
        sum(row.reserved_cost_usd for row in found),
    )


def _owner_of(row: Row) -> bytes:
    """Return what decides on a row's partition: the run, or the key of what is done once (the run of its timer is that key)."""
    if isinstance(row, LeaseRow | WaiterRow):
        return row.key.encode()
    return row.run_id.encode()  # type: ignore[union-attr]


def moved_record(record: ConsumerRecord, partition_of: PartitionOf, count: int) -> Outgoing:
    """Return a journal's record as it goes on: unchanged, in the partition of its key."""
    partition = record.partition % count if record.key is None else partition_of(record.key)
    return Outgoing(partition, record.key, record.value, tuple(record.headers), record.timestamp)
