"""A running server, the official client for it, and plain HTTP for its admin endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from benchmarks.provider import ProviderServer


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    async with ProviderServer() as running:
        yield running


@pytest.fixture
async def client(server: ProviderServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="k", base_url=server.base_url, max_retries=0, timeout=30) as made:
        yield made


@pytest.fixture
async def http(server: ProviderServer) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=server.root_url, timeout=30) as made:
        yield made


def chat(prompt: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}], **more}
