"""What models say while they say it: the newest launch of the newest attempt of each node, each piece once and in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer

from penstock.client import reading
from penstock.client.results import result_in

Delta = dict[str, Any]
_KEYS = ("run_id", "node", "attempt", "epoch", "launch", "seq", "delta")


class Newest:
    """Drops what belongs to a launch that another one has followed (a zombie's), and what was seen before.

    A launch that follows another one begins the text anew, with `seq` 0.
    """

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], tuple[tuple[int, int, int], int]] = {}

    def take(self, delta: Delta) -> bool:
        """Say whether a delta is the next one to be shown."""
        of = (delta["run_id"], delta["node"])
        launch, seq = (delta["epoch"], delta["attempt"], delta["launch"]), delta["seq"]
        known, seen = self._at.get(of, ((-1, -1, -1), -1))
        if launch < known or (launch == known and seq <= seen):
            return False
        if launch > known and seq != 0:
            return False  # its beginning is gone, or was never read: a text from its middle is none
        if launch == known and seq != seen + 1:
            return False
        self._at[of] = (launch, seq)
        return True


async def deltas(reader: AIOKafkaConsumer, run_id: str | None = None) -> AsyncIterator[Delta]:
    """Yield deltas from the partitions assigned to `reader`; those of `run_id` alone if it is given."""
    newest = Newest()
    async for record in reading.forever(reader):
        delta = result_in(record)
        if delta is None or any(key not in delta for key in _KEYS) or run_id not in (None, delta["run_id"]):
            continue
        if newest.take(delta):
            yield delta
