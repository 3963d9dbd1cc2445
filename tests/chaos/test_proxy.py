"""The bad network: what it forwards, holds, resets and delays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.chaos.proxy import CHUNK, HOST, Proxy

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy before a server that says everything back."""
    async with await asyncio.start_server(_echo, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Proxy(port) as running:
            yield running


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _says_back(connection: Connection, text: bytes) -> bytes:
    reader, writer = connection
    writer.write(text)
    await writer.drain()
    return await reader.readexactly(len(text))


async def test_it_forwards_in_both_directions(proxy: Proxy) -> None:
    large = bytes(range(256)) * 20_000
    async with connected(proxy) as one, connected(proxy) as other:
        sending = asyncio.create_task(_says_back(one, large))
        assert await _says_back(other, b"small") == b"small"
        assert await sending == large


async def test_the_end_of_one_side_is_the_end_of_the_other(proxy: Proxy) -> None:
    async with connected(proxy) as (reader, writer):
        assert await _says_back((reader, writer), b"hello") == b"hello"
        writer.write_eof()
        assert await reader.read() == b""


async def test_what_is_held_arrives_when_the_network_heals(proxy: Proxy) -> None:
    async with connected(proxy) as before:
        assert await _says_back(before, b"1") == b"1"
        proxy.hold()
        held = asyncio.create_task(_says_back(before, b"2"))
        async with connected(proxy) as during:  # the system accepts it, as a network does that swallows what is sent
            late = asyncio.create_task(_says_back(during, b"3"))
            done, _ = await asyncio.wait([held, late], timeout=0.2)
            assert not done
            proxy.heal()
            assert (await held, await late) == (b"2", b"3")


async def test_a_reset_ends_connections_and_refuses_new_ones(proxy: Proxy) -> None:
    async with connected(proxy) as before:
        assert await _says_back(before, b"1") == b"1"
        proxy.reset()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await _says_back(before, b"2")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            async with connected(proxy) as during:
                await _says_back(during, b"3")
        proxy.heal()
        async with connected(proxy) as after:
            assert await _says_back(after, b"4") == b"4"


async def test_delay_is_added_in_each_direction_and_keeps_order(proxy: Proxy) -> None:
    loop = asyncio.get_running_loop()
    async with connected(proxy) as connection:
        assert await _says_back(connection, b"0") == b"0"
        proxy.delay_s = 0.1
        began = loop.time()
        assert await _says_back(connection, b"1") == b"1"
        assert loop.time() - began >= 0.2
        proxy.heal()
        assert await _says_back(connection, b"2") == b"2"


async def test_a_target_that_is_away_is_a_reset(proxy: Proxy) -> None:
    async with Proxy(1) as nowhere, connected(nowhere) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
