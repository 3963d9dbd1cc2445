"""What is audited: every record of a workflow's topics and changelogs, how far each partition goes, and what its group committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.headers import Headers
from schemas.records import Position
from streams.audit.layout import Layout

Place = tuple[str, int]
"""A topic and a partition."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as it stands in the log."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def position(self) -> Position:
        """Where it stands."""
        return Position(self.topic, self.partition, self.offset)


@dataclass(frozen=True, slots=True)
class Extent:
    """The offsets a partition has (`begin` to before `end`) and the group's committed one, None if there is none."""

    begin: int
    end: int
    committed: int | None

    def consumed(self, offset: int) -> bool:
        """Say whether the group has applied the record at `offset`: what follows from it is durable."""
        return self.committed is not None and offset < self.committed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the audit looks at. `entries` are read once; only within a partition does their order mean anything.

    The committed offsets were asked for first, then the ends of changelogs, results and dead letters, then those of the rest:
    so the effects of whatever counts as consumed are in it, and so are the causes of every effect.
    """

    layout: Layout
    extents: Mapping[Place, Extent]
    entries: Iterable[Entry]
