"""One client connection: httptools reads it, timers write to it. No asyncio task per request: that is what makes it fast."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from benchmarks.provider.ledger import Call
from benchmarks.provider.wire import Reply

if TYPE_CHECKING:
    from benchmarks.provider.server import ProviderServer


class Connection(asyncio.Protocol):
    """Reads requests and writes replies in order; a request that comes early waits for its turn."""

    def __init__(self, server: ProviderServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._waiting: deque[tuple[str, str, dict[str, str], bytes]] = deque()
        self._busy = False
        self._call: Call | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by isinstance
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._call is not None:
            self._server.ledger.close(self._call, 0)
        self._server.lost(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()

    # httptools calls these

    def on_message_begin(self) -> None:
        self._url = ""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._url += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.decode("latin-1").lower()
        self._headers[lowered] = value.decode("latin-1")
        if lowered == "expect":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        self._waiting.append((method, self._url, self._headers, b"".join(self._body)))
        if not self._busy:
            self._next()

    # replies

    def _next(self) -> None:
        while self._waiting and not self._busy:
            method, url, headers, body = self._waiting.popleft()
            self._busy = True
            reply, self._call = self._server.answer(method, url, headers, body)
            self._play(reply, 0)

    def _play(self, reply: Reply, index: int) -> None:
        while index < len(reply.pieces):
            delay, piece = reply.pieces[index]
            if delay > 0:
                self._timer = asyncio.get_running_loop().call_later(delay, self._write, reply, index)
                return
            self._transport.write(piece)
            index += 1
        self._finish(reply)

    def _write(self, reply: Reply, index: int) -> None:
        self._timer = None
        self._transport.write(reply.pieces[index][1])
        self._play(reply, index + 1)

    def _finish(self, reply: Reply) -> None:
        if reply.end == "hang":
            return
        if self._call is not None:
            self._server.ledger.close(self._call, reply.status)
            self._call = None
        _ENDINGS[reply.end](self)

    def _keep(self) -> None:
        self._busy = False
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)

    def _close(self) -> None:
        self._transport.close()

    def _reset(self) -> None:
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


_ENDINGS: dict[str, Callable[[Connection], None]] = {
    "keep": Connection._keep,  # noqa: SLF001
    "close": Connection._close,  # noqa: SLF001
    "reset": Connection._reset,  # noqa: SLF001
}
