"""Python's cycle collector, for a process that holds large tables of values without cycles."""

from __future__ import annotations

import gc

YOUNG = 50_000
"""Objects made before the young are looked through: a batch makes some ten thousand that reference counts free again."""
OLD = 50
"""Looks at the young per look at the next older generation; the oldest, with all the tables in it, is looked at rarest."""


def tune() -> None:
    """Look for cycles rarely, and never in what the program itself consists of; by default it is a tenth of a worker's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLD, OLD)
