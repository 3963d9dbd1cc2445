"""Folding a changelog: which row of a key counts, when more than one worker may have thought it owned the partition (PROTOCOL.md 8)."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.codec import decode
from schemas.records import OwnerMarker, Row
from streams.errors import UndecodableRecord

MARKER_KEY = b"\0owner"
"""No run id starts like it: they are printable."""


@dataclass(slots=True)
class ChangelogFold:
    """The rows of one changelog partition, read in order.

    A row of a lower owner epoch than the highest marker before it was written by a worker that had lost the partition: it
    does not count. `overwritten` are keys whose last record is such a one: compaction would keep it, so they are written again.
    """

    highest: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    overwritten: set[str] = field(default_factory=set)
    markers: list[OwnerMarker] = field(default_factory=list)

    def take(self, key: bytes, value: bytes | None, owner_epoch: int, where: str) -> None:
        """Take the next record; raise `UndecodableRecord` naming `where` for bytes that are no row: never a silent drop."""
        try:
            row = None if value is None else decode(value)
            name = key.decode()
        except ValueError as error:
            raise UndecodableRecord(f"{where}: {error}") from error
        if isinstance(row, OwnerMarker):
            self.highest = max(self.highest, row.owner_epoch)
            self.markers.append(row)
        elif owner_epoch < self.highest:
            self.overwritten.add(name)
        else:
            self._put(name, row)  # type: ignore[arg-type]

    def _put(self, name: str, row: Row | None) -> None:
        self.overwritten.discard(name)
        if row is None:
            self.rows.pop(name, None)
            self.deleted.add(name)
        else:
            self.deleted.discard(name)
            self.rows[name] = row
