"""Tables: a dict per partition, in front of a compacted changelog topic. In memory a table is ahead of its changelog only within a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from schemas.codec import decode, encode
from schemas.records import NodeRow, Row, RunRow


class Tables:
    """Every table of one workflow, partition by partition.

    Rows of retired runs are held as they are written, a third of the size: they are there for a repeated input, and stay as long
    as inputs do.
    """

    def __init__(self) -> None:
        self._rows: defaultdict[int, defaultdict[str, dict[str, Row | bytes]]] = defaultdict(lambda: defaultdict(dict))
        self._running: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)

    def get(self, table: str, partition: int, key: str) -> Row | None:
        """Return the row, None if there is none."""
        row = self._rows[partition][table].get(key)
        return _unpacked(row) if type(row) is bytes else row  # type: ignore[return-value]

    def put(self, table: str, partition: int, key: str, row: Row | None) -> None:
        """Set the row; None deletes it."""
        rows = self._rows[partition][table]
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = encode(row) if isinstance(row, RunRow) and row.retired else row
        if isinstance(row, NodeRow) and row.status == "running":
            self._running[partition].add((table, key))
        else:
            self._running[partition].discard((table, key))

    def running(self, partition: int) -> list[tuple[str, str]]:
        """Return table and key of every node row of a partition that says `running`."""
        return list(self._running[partition])

    def rows(self, table: str, partition: int) -> Iterator[tuple[str, Row]]:
        """Yield keys and rows of one partition of a table."""
        for key, row in self._rows[partition][table].items():
            yield key, _unpacked(row)

    def live_rows(self, table: str, partition: int) -> Iterator[Row]:
        """Yield rows of one partition of a table, but for those of retired runs."""
        for row in self._rows[partition][table].values():
            if not isinstance(row, bytes):
                yield row

    def partitions(self) -> set[int]:
        """Return the partitions that are held."""
        return set(self._rows)

    def hold(self, partition: int) -> None:
        """Note that a partition is held, even if it has no rows."""
        self._rows.setdefault(partition, defaultdict(dict))

    def drop(self, partition: int) -> None:
        """Forget a partition: it is somebody else's, or must be restored anew."""
        self._rows.pop(partition, None)
        self._running.pop(partition, None)


def _unpacked(row: Row | bytes) -> Row:
    return decode(row) if isinstance(row, bytes) else row  # type: ignore[return-value] # it was a row when it was put
