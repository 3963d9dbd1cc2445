"""APPLY: carry out what a batch of records leads to, in the one order that a crash at any point survives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from schemas.records import Row
from streams.engine.log import Log
from streams.engine.processor import Address, Effects


class Changelogs(Protocol):
    """Where rows are made durable."""

    async def write(self, rows: Mapping[Address, Row | None]) -> None:
        """Return once every row is acknowledged."""
        ...


Seam = Callable[[str], None]
"""Called with a seam's name; a test raises there to crash."""


def no_seam(_: str) -> None:
    """Pass every seam."""


async def apply(
    effects: Effects,
    log: Log,
    changelogs: Changelogs,
    launch: Callable[[Mapping[Address, str]], None],
    abort: Callable[[Sequence[tuple[str, str]]], None],
    seam: Seam = no_seam,
) -> Sequence[int]:
    """Carry out `effects` (PROTOCOL.md rule 2) and return the offsets of its records.

    1. Records. A crash after it: the batch comes again and the same records with it, by the same `ce_id`; readers drop them.
    2. Rows, first those that take over what others of them give up. A crash after it: what a row says was sent, was sent; rows
       that say `running` are launched by the next owner.
    3. Launches and aborts. A crash after it: attempts in flight are made again, with the same `seq`.
    4. The caller then counts the batch's own offsets as committable. A crash before the commit: the batch comes again.
    """
    # 1.
    offsets = await log.append(effects.sends) if effects.sends else ()
    seam("records")
    # 2.
    if effects.first:
        await changelogs.write(effects.first)
    if effects.rows:
        await changelogs.write(effects.rows)
    seam("rows")
    # 3.
    abort(effects.aborts)
    launch(effects.launches)
    seam("launches")
    return offsets
