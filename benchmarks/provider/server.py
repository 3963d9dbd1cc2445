"""The server: routes, admin endpoints, start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import orjson

from benchmarks.provider.config import Config, parse_config
from benchmarks.provider.connection import Connection
from benchmarks.provider.exchange import Script, read_request
from benchmarks.provider.ledger import Call, Ledger
from benchmarks.provider.wire import Reply, chat_reply, error_reply, json_reply


class ProviderServer:
    """An OpenAI-compatible server on 127.0.0.1; `async with ProviderServer(Config(...)) as server` in tests."""

    def __init__(self, config: Config | None = None, port: int = 0) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._quiet = asyncio.Event()
        self.connections: set[Connection] = set()
        self.ledger = Ledger()
        self._script = Script(config or Config())
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def config(self) -> Config:
        """What it is told to do now."""
        return self._script.config

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None, "not started"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def root_url(self) -> str:
        """Where the admin endpoints are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What OPENAI_BASE_URL is set to."""
        return f"{self.root_url}/v1"

    @property
    def calls(self) -> list[Call]:
        """Every call since the start or the last reset."""
        return self.ledger.calls

    def configure(self, **changes: Any) -> None:
        """Change the configuration at run time; sequences start over."""
        self._script = Script(replace(self.config, **changes))

    def reset(self) -> None:
        """Forget all calls and play the sequences from the beginning; calls in flight still count as such."""
        in_flight = self.ledger.in_flight
        self.ledger = Ledger()
        if in_flight:
            self.ledger.max_in_flight = in_flight
        self._script = Script(self.config)

    async def called(self, count: int = 1) -> None:
        """Wait until `count` calls have arrived."""
        if len(self.calls) < count:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((count, waiter))
            await waiter

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self._port, backlog=8192)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in tuple(self.connections):
            connection.abort()
        if self.connections:
            self._quiet.clear()
            await self._quiet.wait()
        await self._server.wait_closed()

    def lost(self, connection: Connection) -> None:
        """Forget a connection that ended."""
        self.connections.discard(connection)
        if not self.connections:
            self._quiet.set()

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[Reply, Call | None]:
        """Return the reply to one request, and its call if it is one that counts."""
        if url == "/v1/chat/completions" and method == "POST":
            return self._chat(headers, body)
        target = urlsplit(url)
        match method, target.path:
            case "GET", "/v1/models":
                entries = [{"id": model, "object": "model", "owned_by": "penstock"} for model in self.config.models]
                return json_reply({"object": "list", "data": entries}), None
            case "POST", "/admin/config":
                return self._reconfigure(body), None
            case "GET", "/admin/config":
                return json_reply(asdict(replace(self.config, answer=None, decide=None))), None
            case "GET", "/admin/calls":
                return self._listing(parse_qs(target.query)), None
            case "GET", "/admin/summary":
                return json_reply(self.ledger.summary()), None
            case "POST", "/admin/reset":
                self.reset()
                return json_reply({"reset": True}), None
        return error_reply(404, f"unknown url {method} {target.path}", "not_found"), None

    def _chat(self, headers: Mapping[str, str], body: bytes) -> tuple[Reply, Call | None]:
        expected = self.config.api_key
        if expected is not None and headers.get("authorization") != f"Bearer {expected}":
            return error_reply(401, "Incorrect API key provided", "invalid_api_key"), None
        try:
            request = read_request(body, headers)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return error_reply(400, f"invalid request: {error}", "invalid_request_error"), None
        call = self.ledger.open(request.key, request.prompt_hash, request.model)
        self._wake()
        fault, delay, answer = self._script.choose(request, call)
        call.fault, call.stream = fault, request.stream
        reply = chat_reply(request, fault, delay, answer, self.config, call.ordinal)
        if reply.status == 200:
            call.prompt_tokens, call.completion_tokens = answer.prompt_tokens, answer.completion_tokens
        return reply, call

    def _wake(self) -> None:
        for waiter in [entry for entry in self._waiters if entry[0] <= len(self.calls)]:
            self._waiters.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_result(None)

    def _reconfigure(self, body: bytes) -> Reply:
        try:
            self._script = Script(parse_config(orjson.loads(body), self.config))
        except (ValueError, TypeError) as error:
            return error_reply(400, str(error), "invalid_config")
        return json_reply(asdict(replace(self.config, answer=None, decide=None)))

    def _listing(self, query: Mapping[str, list[str]]) -> Reply:
        key = query.get("key", [None])[0]
        return json_reply(self.ledger.listing(key, int(query.get("limit", ["1000000"])[0])))
