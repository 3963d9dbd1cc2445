"""(a) Linear chaining with naive retry: one call after the other, each told all that came before; what fails is tried again.

As people write it first: JSON mode, `json.loads`, three tries with exponential backoff around each call. It believes what
parses.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from openai import AsyncOpenAI

from benchmarks.patterns.ask import LARGE, render
from benchmarks.patterns.documents import STEPS, Document

TRIES = 3


async def run(client: AsyncOpenAI, document: Document, scale: float) -> dict[str, Any]:
    """Do the six steps; raise what the last try of one raised."""
    known: dict[str, Any] = {}
    for step in STEPS:
        known[step] = await _ask(client, render(step, document, known), scale)
    return known


async def _ask(client: AsyncOpenAI, prompt: str, scale: float) -> Any:
    for attempt in range(TRIES):
        try:
            response = await client.chat.completions.create(
                model=LARGE,
                messages=[{"role": "user", "content": prompt}],
                response_format={"type": "json_object"},
            )
            return json.loads(response.choices[0].message.content or "")
        except Exception:
            if attempt == TRIES - 1:
                raise
            await asyncio.sleep(2**attempt / scale)
    raise AssertionError("unreachable")
