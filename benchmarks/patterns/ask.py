"""What chain and mesh share: the prompts (the same files that Penstock renders) and the OpenAI client. No retry of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2
from openai import AsyncOpenAI, DefaultAioHttpClient

from benchmarks.patterns.documents import FOLDER, STEPS, Document

_TEMPLATES = {step: jinja2.Template((FOLDER / f"{step}.j2").read_text()) for step in STEPS}

LARGE, SMALL = "gpt-4o", "gpt-4o-mini"


def open_client(base_url: str) -> AsyncOpenAI:
    """Return the client as everybody makes it: two retries and ten minutes' timeout, its defaults.

    On aiohttp: the default transport looks through all connections at each call, which with hundreds of tasks in one
    process would measure this machine's CPU.
    """
    return AsyncOpenAI(api_key="none-needed", base_url=base_url, http_client=DefaultAioHttpClient())


def render(step: str, document: Document, known: Mapping[str, Any]) -> str:
    """Return a step's prompt, followed by all that is known so far."""
    prompt = _TEMPLATES[step].render(input={"document_id": document.id, "text": document.text}, **known)
    return f"{prompt}\n\nKnown so far: {dict(known)}" if known else prompt
