"""A real provider server and a client of ours that calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from benchmarks.provider import ProviderServer
from streams.providers import ChatProvider, ProviderConfig

API_KEY = "sk-test-0123456789abcdef"


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    async with ProviderServer() as running:
        yield running


@pytest.fixture
async def provider(server: ProviderServer) -> AsyncIterator[ChatProvider]:
    made = ChatProvider(ProviderConfig("acme", SecretStr(API_KEY), server.base_url))
    yield made
    await made.aclose()
