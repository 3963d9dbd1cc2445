"""A streamed completion: its pieces handed on as they come, and put together to what it would have been in one piece."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

OnDelta = Callable[[str], None]


@dataclass(slots=True)
class Assembled:
    """The parts of a completion so far; `first_token_ms` is how long the first one took."""

    content: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    model: str | None = None
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    first_token_ms: int | None = None
    chunks: int = 0

    def body(self) -> bytes:
        """Return the completion as its body would be; without a single chunk it has no choices."""
        message = {"content": "".join(self.content) or None, "refusal": "".join(self.refusal) or None}
        choices = [{"message": message, "finish_reason": self.finish_reason}] if self.chunks else []
        return orjson.dumps({"model": self.model, "choices": choices, "usage": self.usage})


async def assemble(chunks: AsyncIterator[Any], on_delta: OnDelta) -> Assembled:
    """Take every chunk of a stream of the OpenAI client; what breaks it off is raised."""
    found, began = Assembled(), time.monotonic()
    async for chunk in chunks:
        found.chunks += 1
        found.model = chunk.model or found.model
        if chunk.usage is not None:
            found.usage = chunk.usage.model_dump()
        for choice in chunk.choices or ():
            if choice.index:
                continue
            _take(found, choice, on_delta, began)
    return found


def _take(found: Assembled, choice: Any, on_delta: OnDelta, began: float) -> None:
    found.finish_reason = choice.finish_reason or found.finish_reason
    delta = choice.delta
    if delta is None:
        return
    if delta.refusal:
        found.refusal.append(delta.refusal)
    if delta.content:
        if found.first_token_ms is None:
            found.first_token_ms = round((time.monotonic() - began) * 1000)
        found.content.append(delta.content)
        on_delta(delta.content)
