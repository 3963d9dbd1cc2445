"""One chat completion through the OpenAI client: a request goes in, an outcome comes out, no exception but cancellation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from streams.core.outcome import Done, Failed, NodeError, Outcome, Usage
from streams.providers.answers import Answer, fault_of, read_answer, read_object, schema_fault
from streams.providers.config import DEFAULT_PROVIDER, ProviderConfig
from streams.providers.prices import cost_usd
from streams.providers.redact import RAW_CHARS, cap, redact

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECTIONS = 10_000
_KEEPALIVE_S = 15.0
_CONNECT_S = 30.0  # in a burst of thousands, connecting waits for this loop and for the backlog of the other side
_OURS = frozenset(
    {"model", "messages", "stream", "stream_options", "n", "response_format", "max_tokens", "max_completion_tokens"}
)
"""What `params` cannot change: the outcome is read by these."""


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


class ChatProvider:
    """A provider and its one client, made at the first call so that it belongs to the running loop."""

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self._client: AsyncOpenAI | None = None

    async def complete(self, request: ChatRequest) -> Outcome:
        """Make one call."""
        try:
            body = await self._post(request)
        except Exception as error:
            from streams.providers.failures import failure_of

            return Failed(failure_of(error, self.config.name, self._secrets), model=request.model)
        try:
            answer = read_answer(body)
        except Exception as error:
            text = f"provider {self.config.name!r} sent a body that is no completion: {error}"
            return Failed(NodeError("provider_unavailable", text), model=request.model, raw=self._raw(body))
        return self._outcome(request, answer)

    async def aclose(self) -> None:
        """Close the client's connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @property
    def _secrets(self) -> tuple[str, ...]:
        return (self.config.api_key.get_secret_value(),)

    def _outcome(self, request: ChatRequest, answer: Answer) -> Outcome:
        usage = answer.usage or Usage()
        cost = cost_usd(self.config, request.model, answer.model, answer.usage, answer.cached_tokens)
        model = answer.model or request.model
        read = _read(request, answer)
        if isinstance(read, NodeError):
            return Failed(read, usage, cost, model, self._raw(answer.content or answer.refusal or ""))
        return Done(read, usage, cost, model)

    def _raw(self, answered: str | bytes) -> str:
        text = answered if isinstance(answered, str) else answered[: RAW_CHARS * 4].decode("utf-8", "replace")
        return cap(redact(cap(text, RAW_CHARS * 4), self._secrets), RAW_CHARS)

    async def _post(self, request: ChatRequest) -> bytes:
        import httpx2

        timeout_s = request.timeout_ms / 1000
        # The client walks every message against its type definitions, a third of a call's CPU; the extra body it sends as it is.
        response = await self._connected().chat.completions.with_raw_response.create(
            model=self.config.model_override or request.model,
            messages=[],
            extra_body=_body(request, self.config),
            extra_headers={"Idempotency-Key": _header(request.idempotency_key)},
            timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
        )
        return response.content

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


def _header(key: str) -> str:
    """Return `key` as a header may hold it: a run id is anything a producer made up."""
    return quote(key, safe="!#$&'()*+,/:;=?@[]~")
