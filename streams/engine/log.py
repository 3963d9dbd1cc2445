"""The log as the engine sees it: append and know when it is durable. Kafka in production, memory in the test driver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.headers import Headers
from schemas.quick import quick


@quick
@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to append. `partition` None lets the key choose; `timestamp` is the broker's or producer's business."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Log(Protocol):
    """Where records go."""

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append `records` and return their offsets once every one is acknowledged; an error means: perhaps none, perhaps all."""
        ...
