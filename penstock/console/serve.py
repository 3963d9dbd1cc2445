"""Serving the console: a socket, a server, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from penstock.console.api.session import Access
from penstock.console.app import app_of
from penstock.console.console import Console
from penstock.console.readmodel.store import Store
from streams.engine.config import EngineConfig

GRACE_S = 3
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True, slots=True)
class Where:
    """Where the console listens, and the names under which it may be called beside those of this machine."""

    host: str
    port: int
    allowed: frozenset[str] = frozenset()


class _Server(uvicorn.Server):
    """A server that leaves signals to us: uvicorn's would raise them again at the end, and the exit code would be theirs."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def listening(where: Where) -> socket.socket:
    """Return a socket that listens; OSError says why there is none."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((where.host, where.port))
        listener.listen(256)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the address to open."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - shown, not bound
    return f"http://{shown}:{port}/"


async def serve(config: EngineConfig, home: Path, listener: socket.socket, where: Where, access: Access) -> None:
    """Serve until SIGTERM or Ctrl-C; raise `ConsoleInUse` if another one has the home's read model."""
    encrypted = config.sealing is not None and config.sealing.has_keys
    store = Store(home / "console.sqlite3", in_memory=encrypted)
    try:
        console = Console(config, store)
        named = f"[{where.host}]" if ":" in where.host else where.host
        app = app_of(console, access, LOOPBACK | {named.lower()} | {name.lower() for name in where.allowed})
        settings = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, ws="none", timeout_graceful_shutdown=GRACE_S
        )
        server = _Server(settings)
        _stop_on_signal(server, console)
        await server.serve(sockets=[listener])
    finally:
        store.close()


def _stop_on_signal(server: uvicorn.Server, console: Console) -> None:
    def stop() -> None:
        server.should_exit = True
        console.hub.close()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
