"""A record as it came from a topic, before anybody made sense of it."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.headers import Headers
from schemas.quick import quick
from schemas.records import Position


@quick
@dataclass(frozen=True, slots=True)
class Inbound:
    """Bytes with their place in the log; `timestamp` in epoch ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def position(self) -> Position:
        """Where it stood."""
        return Position(self.topic, self.partition, self.offset)
