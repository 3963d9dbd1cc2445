"""What a worker answers over HTTP (metrics, health), from a thread: it answers while the event loop is busy, or stuck."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client.exposition import ThreadingWSGIServer

LOCAL = "127.0.0.1"

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application."""


def serve(routes: Mapping[str, App], port: int, host: str = LOCAL) -> Callable[[], None]:
    """Serve each path by its application, in a thread; return what stops that. OSError if the port is taken."""
    family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]

    class Server(ThreadingWSGIServer):
        address_family = family

    server = make_server(host, port, _among(routes), Server, _Silent)
    Thread(target=server.serve_forever, name=f"http-{port}", daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return stop


def _among(routes: Mapping[str, App]) -> App:
    def app(request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        found = routes.get(request["PATH_INFO"].rstrip("/") or "/")
        if found is not None:
            return found(request, start)
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [f"There are: {', '.join(sorted(routes))}\n".encode()]

    return app


class _Silent(WSGIRequestHandler):
    """Probes come every few seconds: they are no news."""

    timeout = 10  # a client that says nothing does not keep a thread for ever

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
