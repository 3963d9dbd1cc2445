"""A gate in front of the real registry: it wants credentials, counts, and can be closed. Real HTTP on both sides."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Gate:
    """What the gate lets through: `wanted` is the Authorization header, None for any."""

    behind: str
    wanted: str | None = None
    closed: bool = False
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def gate(registry: str, wanted: str | None = None) -> Iterator[Gate]:
    """Serve a gate in front of `registry`."""
    made = Gate(registry, wanted)

    class Handler(BaseHTTPRequestHandler):
        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            made.asked.append(f"{self.command} {self.path}")
            if made.closed:
                self._answer(503, b'{"error_code": 50301, "message": "closed"}')
            elif made.wanted is not None and self.headers.get("Authorization") != made.wanted:
                self._answer(401, b'{"error_code": 401, "message": "Unauthorized"}')
            else:
                parts = urlsplit(made.behind)
                headers = {"Content-Type": self.headers.get("Content-Type") or ""}
                target = f"{parts.scheme}://{parts.netloc}{self.path}"
                request = urllib.request.Request(target, body, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=20) as answer:
                        self._answer(answer.status, answer.read())
                except urllib.error.HTTPError as error:
                    with error:
                        self._answer(error.code, error.read())

        do_GET = do_POST = do_PUT = _pass

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}{urlsplit(registry).path}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
