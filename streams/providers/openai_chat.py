"""One chat completion through the OpenAI client: a request goes in, an outcome comes out, no exception but cancellation."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import orjson

from streams.core.outcome import Deferred, Done, Failed, NodeError, Outcome, Usage
from streams.providers.answers import Answer, fault_of, read_answer, read_object, schema_fault
from streams.providers.config import DEFAULT_PROVIDER, ProviderConfig
from streams.providers.gate import Gate
from streams.providers.prices import cost_usd
from streams.providers.redact import RAW_CHARS, cap, redact
from streams.providers.streamed import OnDelta, assemble

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai._types import RequestOptions

CONNECTIONS = 10_000
_KEEPALIVE_S = 15.0
_CONNECT_S = 30.0  # in a burst of thousands, connecting waits for this loop and for the backlog of the other side
_OURS = frozenset(
    {"model", "messages", "stream", "stream_options", "n", "response_format", "max_tokens", "max_completion_tokens"}
)
"""What `params` cannot change: the outcome is read by these."""


def import_client() -> None:
    """Import what the first call would: one to two seconds in which its loop would do nothing else."""
    import genai_prices  # noqa: F401

    import streams.providers.failures  # noqa: F401


class Validator(Protocol):
    """What a compiled schema can do."""

    def validate(self, value: Any) -> list[str]:
        """Return each problem as `path: message`."""


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The schema of an answer: sent to the provider as it is, and checked on arrival."""

    name: str
    schema: Mapping[str, Any]
    validator: Validator


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is asked. `idempotency_key` is the same when a crash has the same call made again."""

    model: str
    messages: tuple[str, ...]
    max_output_tokens: int
    timeout_ms: int
    idempotency_key: str
    temperature: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    output: OutputSchema | None = None
    deferred: bool = False
    last_chance: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent along: the trace the call is part of."""
    on_delta: OnDelta | None = field(default=None, compare=False)
    """Called with each piece of the answer as it comes; None: it comes in one piece."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """What came of a call, and the headers it came with."""

    outcome: Done | Failed
    headers: Mapping[str, str]
    answer: Answer | None = None


class CallEnd(Protocol):
    """Is told how a call ended."""

    headers: Mapping[str, str]
    """Sent with the call, in the place of the request's own."""

    def ended(self, outcome: Done | Failed, answer: Answer | None) -> None:
        """Take note of the end; `answer` None: there was none that could be read."""
        ...


class CallWatch(Protocol):
    """Watches calls, if anybody does."""

    def call(self, config: ProviderConfig, request: ChatRequest) -> AbstractContextManager[CallEnd]:
        """Return what goes round a call."""
        ...


@dataclass(frozen=True, slots=True)
class _Body:
    """A completion's body, in one piece, and how long the first token took if it came in many."""

    content: bytes
    headers: Mapping[str, str]
    first_token_ms: int | None = None


class ChatProvider:
    """A provider and its one client, made at the first call so that it belongs to the running loop."""

    def __init__(self, config: ProviderConfig, gate: Gate | None = None) -> None:
        self.config = config
        limits = (config.requests_per_minute, config.tokens_per_minute)
        self.gate = gate or Gate(config.name, *limits)
        self._client: AsyncOpenAI | None = None
        self.watch: CallWatch | None = None

    async def complete(self, request: ChatRequest) -> Outcome:
        """Make one call, or none if the provider is not to be called now."""
        body = _body(request, self.config)
        try:
            prompt_hash = _hash_of(request.model, body)
        except TypeError as error:  # half a surrogate: nothing could be sent
            return Failed(NodeError("template", f"the prompt cannot be encoded: {error}", retryable=False))
        held = self.gate.enter(
            request.model,
            _estimated_tokens(request),
            returning=request.deferred,
            last_chance=request.last_chance,
        )
        if isinstance(held, Deferred):
            return held
        try:
            reply = await (self._called if self.watch is None else self._watched)(request, body)
        except BaseException:  # cancelled, mostly; a bug must not keep a probe's place either
            self.gate.withdraw(held)
            raise
        outcome = self.gate.leave(held, reply.outcome, reply.headers)
        return outcome if isinstance(outcome, Deferred) else replace(outcome, prompt_hash=prompt_hash)

    async def _watched(self, request: ChatRequest, body: dict[str, Any]) -> _Reply:
        assert self.watch is not None  # noqa: S101 - the caller's promise
        with self.watch.call(self.config, request) as call:
            reply = await self._called(replace(request, headers=call.headers), body)
            call.ended(reply.outcome, reply.answer)
            return reply

    async def _called(self, request: ChatRequest, body: dict[str, Any]) -> _Reply:
        from streams.providers.failures import failure_of, headers_of, may_have_been_billed

        try:
            async with asyncio.timeout(request.timeout_ms / 1000):  # of the whole call, however slowly it trickles
                body_of = self._post if request.on_delta is None else self._streamed
                reply = await body_of(request, body)
        except Exception as error:
            failure = failure_of(error, self.config.name, self._secrets)
            if may_have_been_billed(error):
                return _Reply(Failed(failure, cost_usd=None, model=request.model, metered=False), {})
            return _Reply(Failed(failure, model=request.model), headers_of(error))
        try:
            answer = read_answer(reply.content)
            outcome = self._outcome(request, answer)
            if isinstance(outcome, Done):
                outcome = replace(outcome, first_token_ms=reply.first_token_ms)
            return _Reply(outcome, reply.headers, answer)
        except Exception as error:
            text = f"provider {self.config.name!r} sent a body that is no completion: {error}"
            failure = NodeError("provider_unavailable", text)
            raw = self._raw(reply.content)
            return _Reply(Failed(failure, cost_usd=None, model=request.model, raw=raw, metered=False), reply.headers)

    async def aclose(self) -> None:
        """Close the client's connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @property
    def _secrets(self) -> tuple[str, ...]:
        return (self.config.api_key.get_secret_value(),)

    def _outcome(self, request: ChatRequest, answer: Answer) -> Done | Failed:
        usage, metered = answer.usage or Usage(), answer.usage is not None
        cost = cost_usd(self.config, request.model, answer.model, answer.usage, answer.cached_tokens)
        model = answer.model or request.model
        read = _read(request, answer)
        raw = self._raw(answer.content or answer.refusal or "")
        if isinstance(read, NodeError):
            return Failed(read, usage, cost, model, raw, metered)
        return Done(read, usage, cost, model, metered, raw)

    def _raw(self, answered: str | bytes) -> str | None:
        """Return the answer as the journal keeps it: capped, without secrets; None if it is not to keep any."""
        if not self.config.keep_raw:
            return None
        text = answered if isinstance(answered, str) else answered[: RAW_CHARS * 4].decode("utf-8", "replace")
        return cap(redact(cap(text, RAW_CHARS * 4), self._secrets), RAW_CHARS)

    async def _post(self, request: ChatRequest, body: dict[str, Any]) -> _Body:
        """Make the call by the client's own `post`: `create` walks every argument against its type definitions."""
        import httpx2

        sent = {"model": self._model(request), **body}
        response = await self._connected().post(
            "/chat/completions", body=sent, options=self._options(request), cast_to=httpx2.Response
        )
        return _Body(response.content, response.headers)

    async def _streamed(self, request: ChatRequest, body: dict[str, Any]) -> _Body:
        """Make the call as a stream; the usage comes with its last chunk, where the provider sends one."""
        assert request.on_delta is not None  # noqa: S101 - nobody streams to nobody
        asked, options = {**body, "stream_options": {"include_usage": True}}, self._options(request)
        stream = await self._connected().chat.completions.create(
            model=self._model(request),
            messages=[],  # they are in the extra body, which is sent as it is: the client walks each against its type definitions
            stream=True,
            extra_body=asked,
            extra_headers=options["headers"],
            timeout=options["timeout"],
        )
        async with stream:
            found = await assemble(aiter(stream), request.on_delta)
        return _Body(found.body(), stream.response.headers, found.first_token_ms)

    def _model(self, request: ChatRequest) -> str:
        return self.config.model_override or request.model

    def _options(self, request: ChatRequest) -> RequestOptions:
        """Return a call's headers, how long it may take, and that the key goes with it."""
        import httpx2

        timeout_s = request.timeout_ms / 1000
        return {
            "headers": {**request.headers, "Idempotency-Key": _header(request.idempotency_key)},
            "timeout": httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
            "security": {"bearer_auth": True},
        }

    def _connected(self) -> AsyncOpenAI:
        if self._client is None:
            self._client = _client(self.config)
        return self._client


def _client(config: ProviderConfig) -> AsyncOpenAI:
    """Make the client on aiohttp: the default transport scans all connections at each call (5,000 in flight: 11 ms a call)."""
    import httpx2
    from openai import AsyncOpenAI, DefaultAioHttpClient

    limits = httpx2.Limits(max_connections=CONNECTIONS, keepalive_expiry=_KEEPALIVE_S)
    client = AsyncOpenAI(
        api_key=config.api_key.get_secret_value(),
        base_url=config.base_url,
        max_retries=0,
        http_client=DefaultAioHttpClient(limits=limits),
    )
    if config.name != DEFAULT_PROVIDER:
        client.organization = client.project = None  # taken from OPENAI_*: not for other providers to see
    return client


def _body(request: ChatRequest, config: ProviderConfig) -> dict[str, Any]:
    body = {name: value for name, value in request.params.items() if name not in _OURS}
    body["messages"] = [{"role": "user", "content": content} for content in request.messages]
    body[config.max_tokens_param] = request.max_output_tokens
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.output is not None:
        described = {
            "name": request.output.name,
            "strict": True,
            "schema": {**request.output.schema, **config.schema_extras},
        }
        body["response_format"] = {"type": "json_schema", "json_schema": described}
    return body


def _read(request: ChatRequest, answer: Answer) -> dict[str, Any] | NodeError:
    fault = fault_of(answer, request.max_output_tokens)
    if fault is not None:
        return fault
    content = answer.content or ""
    if request.output is None:
        return {"text": content}
    read = read_object(content)
    if isinstance(read, NodeError):
        return read
    problems = request.output.validator.validate(read)
    return schema_fault(problems) if problems else read


def _estimated_tokens(request: ChatRequest) -> int:
    """Return about how many tokens a call will use; by bytes, as a character of Chinese is about a token by itself."""
    return sum(len(text.encode(errors="replace")) for text in request.messages) // 4 + request.max_output_tokens


def _hash_of(model: str, body: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what was sent."""
    sent = orjson.dumps({**body, "model": model}, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
    return hashlib.sha256(sent).hexdigest()


def _header(key: str) -> str:
    """Return `key` as a header may hold it: a run id is anything a producer made up."""
    return quote(key, safe="!#$&'()*+,/:;=?@[]~")
