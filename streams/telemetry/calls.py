"""A model's call: the span `chat {model}`, OpenTelemetry's two metrics of it, and the `traceparent` that goes along."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue

from schemas.headers import TRACEPARENT
from streams.core.outcome import Done, Failed
from streams.providers.answers import Answer
from streams.providers.config import DEFAULT_PROVIDER, ProviderConfig
from streams.providers.openai_chat import ChatRequest
from streams.telemetry import semconv
from streams.telemetry.metrics import Metrics
from streams.telemetry.tracing import Tracing, fail, known, place_of

OPENAI = "openai"
PORTS = {"https": 443, "http": 80}


@dataclass(slots=True)
class Call:
    """How a call ended, once it has."""

    headers: Mapping[str, str]
    outcome: Done | Failed | None = None
    answer: Answer | None = None

    def ended(self, outcome: Done | Failed, answer: Answer | None) -> None:
        """Take note of the end."""
        self.outcome, self.answer = outcome, answer


@dataclass(frozen=True, slots=True)
class Calls:
    """Watches the calls of a worker's providers."""

    tracing: Tracing | None = None
    metrics: Metrics | None = None

    @contextmanager
    def call(self, config: ProviderConfig, request: ChatRequest) -> Iterator[Call]:
        """Put a span round a call, below whatever is current."""
        began = time.perf_counter()
        span = trace.INVALID_SPAN if self.tracing is None else self._start(self.tracing, config, request)
        call = Call(request.headers)
        if self.tracing is not None:
            call.headers = {**request.headers, TRACEPARENT: str(place_of(span))}
        try:
            yield call
        finally:
            self._end(span, config, request, call, time.perf_counter() - began)

    def _start(self, tracing: Tracing, config: ProviderConfig, request: ChatRequest) -> Span:
        said = {
            semconv.GEN_AI_OPERATION: semconv.CHAT,
            semconv.GEN_AI_PROVIDER: provider_name(config),
            semconv.GEN_AI_REQUEST_MODEL: request.model,
            semconv.GEN_AI_REQUEST_MAX_TOKENS: request.max_output_tokens,
            semconv.GEN_AI_REQUEST_TEMPERATURE: request.temperature,
            semconv.GEN_AI_REQUEST_STREAM: True if request.on_delta else None,
            semconv.GEN_AI_OUTPUT_TYPE: "text" if request.output is None else "json",
            **_server(config),
        }
        span = tracing.tracer.start_span(
            f"{semconv.CHAT} {request.model}", kind=SpanKind.CLIENT, attributes=known(said)
        )
        if tracing.captures_content:
            asked = [{"role": "user", "parts": [{"type": "text", "content": text}]} for text in request.messages]
            span.set_attribute(semconv.GEN_AI_INPUT_MESSAGES, orjson.dumps(asked).decode())
        return span

    def _end(self, span: Span, config: ProviderConfig, request: ChatRequest, call: Call, seconds: float) -> None:
        outcome = call.outcome
        error = "cancelled" if outcome is None else outcome.error.kind if isinstance(outcome, Failed) else None
        if span.is_recording():
            if call.answer is not None:
                span.set_attributes(known(_answered(call.answer, outcome)))
                if self.tracing is not None and self.tracing.captures_content:
                    said = [{"role": "assistant", "parts": [{"type": "text", "content": call.answer.content or ""}]}]
                    span.set_attribute(semconv.GEN_AI_OUTPUT_MESSAGES, orjson.dumps(said).decode())
            if error is not None:
                fail(span, error)
        span.end()
        if self.metrics is not None:
            usage = None if call.answer is None else call.answer.usage
            self.metrics.on_call(provider_name(config), request.model, seconds, error, usage)


def provider_name(config: ProviderConfig) -> str:
    """Return what the conventions call a provider: OpenAI's own is "openai", any other has the name it was given."""
    return OPENAI if config.name == DEFAULT_PROVIDER else config.name


def _server(config: ProviderConfig) -> dict[str, str | int | None]:
    if config.base_url is None:
        return {}
    parts = urlsplit(config.base_url)
    return {semconv.SERVER_ADDRESS: parts.hostname, semconv.SERVER_PORT: parts.port or PORTS.get(parts.scheme)}


def _answered(answer: Answer, outcome: Done | Failed | None) -> dict[str, AttributeValue | None]:
    first = outcome.first_token_ms if isinstance(outcome, Done) else None
    return {
        semconv.GEN_AI_RESPONSE_MODEL: answer.model,
        semconv.GEN_AI_FINISH_REASONS: [answer.finish_reason] if answer.finish_reason else None,
        semconv.GEN_AI_INPUT_TOKENS: answer.usage.prompt_tokens if answer.usage else None,
        semconv.GEN_AI_OUTPUT_TOKENS: answer.usage.completion_tokens if answer.usage else None,
        semconv.GEN_AI_CACHED_TOKENS: answer.cached_tokens or None,
        semconv.GEN_AI_FIRST_CHUNK: None if first is None else first / 1000,
    }
