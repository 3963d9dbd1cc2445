"""A record as it came from a topic, before anybody made sense of it."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.headers import Headers, header
from schemas.quick import quick
from schemas.records import Position
from schemas.sealed import UNSEALED, is_sealed


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


def is_unread(record: Inbound) -> bool:
    """Say whether a value is encrypted and could not be opened for want of a key: one that was altered is a foreign one."""
    return is_sealed(record.value) and header(record.headers, UNSEALED) != "altered"


def refusal_of(record: Inbound) -> str | None:
    """Return why a plain record is refused where all must be encrypted, None if it is not plain."""
    if header(record.headers, UNSEALED) != "plain":
        return None
    return "the record is not encrypted, and the setting encryption.require is true"
