"""Measure the provider server with a raw asyncio client: `python -m benchmarks.provider.load` prints one JSON line."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time

import orjson
import psutil
import uvloop

_SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["a", "b"]}, "summary": {"type": "string"}, "confidence": {"type": "number"}},
    "required": ["label", "summary", "confidence"],
    "additionalProperties": False,
}


class _Client(asyncio.Protocol):
    """Sends one request after the other and counts answers; it reads just enough HTTP to see where one ends."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._received = b""
        self._needed = -1
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._send()

    def _send(self) -> None:
        ordinal = self._shared.take()
        if ordinal is None:
            self._transport.close()
        else:
            self._started = time.perf_counter()
            self._transport.write(self._shared.request(ordinal))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._needed < 0 and (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            self._needed = end + 4 + int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        if 0 <= self._needed <= len(self._received):
            self._shared.latencies.append(time.perf_counter() - self._started)
            self._received, self._needed = b"", -1
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.open_connections -= 1
        if not self._shared.open_connections:
            self._shared.done.set()


class _Shared:
    def __init__(self, requests: int, connections: int, *, schema: bool, prompt_chars: int) -> None:
        self._left = requests
        self._schema = schema
        self._prompt = "x" * prompt_chars
        self.open_connections = connections
        self.latencies: list[float] = []
        self.done = asyncio.Event()

    def take(self) -> int | None:
        self._left -= 1
        return self._left if self._left >= 0 else None

    def request(self, ordinal: int) -> bytes:
        chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"{ordinal} {self._prompt}"}]}
        if self._schema:
            chat["response_format"] = {"type": "json_schema", "json_schema": {"name": "out", "schema": _SCHEMA}}  # type: ignore[assignment]
        body = orjson.dumps(chat)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nidempotency-key: load/{ordinal}\r\n"
        return head.encode() + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def _measure(port: int, shared: _Shared, connections: int) -> float:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    await asyncio.gather(
        *(loop.create_connection(lambda: _Client(shared), "127.0.0.1", port) for _ in range(connections))
    )
    await shared.done.wait()
    return time.perf_counter() - started


def main() -> None:
    """Start a server of its own, load it, print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.provider.load", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--latency", default="fixed:0")
    parser.add_argument("--prompt-chars", type=int, default=1000)
    parser.add_argument("--schema", action="store_true", help="ask for structured output")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "benchmarks.provider", "--port", "0", "--latency", arguments.latency]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            port = orjson.loads(server.stdout.readline())["port"]
            shared = _Shared(
                arguments.requests, arguments.connections, schema=arguments.schema, prompt_chars=arguments.prompt_chars
            )
            seconds = uvloop.run(_measure(port, shared, arguments.connections))
            used = psutil.Process(server.pid).cpu_times()
        finally:
            server.terminate()
    _print(shared, seconds, used.user + used.system)


def _print(shared: _Shared, seconds: float, cpu_s: float) -> None:
    ordered = sorted(shared.latencies)
    figures = {
        "benchmark": "provider",
        "requests": len(ordered),
        "seconds": round(seconds, 3),
        "requests_per_s": round(len(ordered) / seconds),
        "server_cpu_us_per_request": round(cpu_s / len(ordered) * 1e6, 1),
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
        "p99_ms": round(ordered[len(ordered) * 99 // 100] * 1000, 2),
    }
    print(orjson.dumps(figures).decode())


if __name__ == "__main__":
    main()
