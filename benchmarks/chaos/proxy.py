"""A TCP proxy that is a bad network: it cuts (nothing arrives, or connections are reset) and it delays."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self

HOST = "127.0.0.1"
CHUNK = 65_536
UNDER_WAY = 64
"""Chunks on the line before the sender has to wait: what is slow must not fill the memory."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Line = asyncio.Queue[tuple[float, bytes]]


class Proxy:
    """Forwards every connection to `target` on this machine. After `hold` or `reset` nothing gets through until `heal`."""

    def __init__(self, target: int, port: int = 0) -> None:
        self.delay_s = 0.0
        """How long every chunk takes, in each direction."""
        self._target = target
        self._port = port
        self._refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.sockets[0].getsockname()[1])

    def hold(self) -> None:
        """Let nothing through, and tell nobody: what is sent arrives when the network is back, as TCP has it."""
        self._flowing.clear()

    def reset(self) -> None:
        """Reset every connection, and new ones as they come."""
        self._refusing = True
        for connection in self._connections:
            connection.cancel()

    def heal(self) -> None:
        """Be a good network again."""
        self._refusing, self.delay_s = False, 0.0
        self._flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, self._port)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._connect(reader, writer)
            writer.close()
        except (OSError, asyncio.CancelledError):  # nobody answers there, or the network is reset
            _reset(writer)
        finally:
            self._connections.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            raise ConnectionResetError
        await self._flowing.wait()
        far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
        pumps = self._pumps(reader, far_writer) + self._pumps(far_reader, writer)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            far_writer.close()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            if not far_writer.is_closing():
                _reset(far_writer)

    def _pumps(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[asyncio.Task[None]]:
        line: Line = asyncio.Queue(UNDER_WAY)
        return [asyncio.create_task(self._take(reader, line)), asyncio.create_task(self._bring(line, writer))]

    async def _take(self, reader: asyncio.StreamReader, line: Line) -> None:
        with suppress(OSError):  # a sender that died is not told of faster than its last words
            while data := await reader.read(CHUNK):
                await line.put((asyncio.get_running_loop().time() + self.delay_s, data))
        await line.put((0.0, b""))
        await asyncio.Event().wait()  # `_bring` ends the connection, once what is under way has arrived

    async def _bring(self, line: Line, writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await line.get()
            if (wait := due - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(wait)
            await self._flowing.wait()
            if not data:
                return
            writer.write(data)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
