"""Records that came before the opening of their epoch, as a row keeps them: as they are, or with the offset they stand at.

What is decided by a record's place in the journal must know that place when its time comes: then another record is being read.
"""

from __future__ import annotations

import struct
from collections.abc import Container

from schemas.codec import decode, encode
from schemas.records import EpochOpened, NodeRecord, NodeRow, Record, ReviewRequested, TimedOut

PLACED = 1
"""Begins what has an offset; a record by itself begins with 0."""
_HEAD = struct.Struct(">Bq")


def held(record: EpochOpened | NodeRecord, offset: int) -> bytes:
    """Return a record for the row."""
    raw = encode(record)
    return _HEAD.pack(PLACED, offset) + raw if isinstance(record, ReviewRequested | TimedOut) else raw


def taken(raw: bytes) -> tuple[Record, int]:
    """Return the record and its offset, 0 where that does not matter."""
    if raw[0] != PLACED:
        return decode(raw), 0
    return decode(raw[_HEAD.size :]), _HEAD.unpack_from(raw)[1]


def is_partial(row: NodeRow, but_for: Container[str] = ()) -> bool:
    """Say whether something of a row was left out of it (`left_out`) and is not filled in: then whatever comes waits.

    `but_for`: sources that begin anew, so that what they said is of no use any more.
    """
    for name, got in row.gathered.items():  # noqa: SIM110 - half the time of any()
        if got.in_source and name not in but_for:
            return True
    return False
