"""A model's call against a real provider: its span, what goes along, and that nothing said is in it unless it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr

from benchmarks.provider import ProviderServer
from streams.core.outcome import Done, Outcome
from streams.providers import ChatProvider, ProviderConfig
from streams.providers.openai_chat import ChatRequest
from streams.telemetry.calls import Calls
from streams.telemetry.metrics import Metrics
from streams.telemetry.tracing import GivenIds, Tracing

KEY = "sk-test-0123456789abcdef"
SECRET_PROMPT = "the patient is called Ada"


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    async with ProviderServer() as running:
        yield running


async def call(server: ProviderServer, content: bool = False, **request: Any) -> tuple[Outcome, ReadableSpan, Metrics]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(id_generator=GivenIds(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    metrics = Metrics()
    chat = ChatProvider(ProviderConfig("acme", SecretStr(KEY), server.base_url))
    chat.watch = Calls(Tracing(provider, content), metrics)
    asked = ChatRequest(
        "gpt-4o", (SECRET_PROMPT,), 100, 5_000, "k", headers={"traceparent": "of the attempt"}, **request
    )
    try:
        outcome = await chat.complete(asked)
    finally:
        await chat.aclose()
    (span,) = exporter.get_finished_spans()
    return outcome, span, metrics


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_is_a_client_span_with_the_providers_count(server: ProviderServer, streamed: bool) -> None:
    said: list[str] = []
    outcome, span, metrics = await call(server, on_delta=said.append if streamed else None)
    assert isinstance(outcome, Done)
    (counted,) = server.calls
    attributes = dict(span.attributes or {})
    assert span.name == "chat gpt-4o"
    assert span.kind.name == "CLIENT"
    assert attributes["gen_ai.usage.input_tokens"] == counted.prompt_tokens == outcome.usage.prompt_tokens
    assert attributes["gen_ai.usage.output_tokens"] == counted.completion_tokens
    assert attributes["gen_ai.provider.name"] == "acme"
    assert attributes["server.port"] == server.port
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert ("gen_ai.response.time_to_first_chunk" in attributes) is streamed
    counts = {s.name: s.value for f in metrics.registry.collect() for s in f.samples if s.name.endswith("_count")}
    assert counts["gen_ai_client_operation_duration_seconds_count"] == 1


async def test_the_call_carries_its_own_span(server: ProviderServer) -> None:
    heard: list[str] = []
    server.configure(answer=lambda request: heard.append(request.headers["traceparent"]))
    _, span, _ = await call(server)
    context = span.get_span_context()
    assert context is not None
    assert heard == [f"00-{context.trace_id:032x}-{context.span_id:016x}-01"]


async def test_nothing_said_is_in_a_span_unless_asked_for(server: ProviderServer) -> None:
    server.configure(answer=lambda _: "take two a day")
    _, span, _ = await call(server)
    assert SECRET_PROMPT not in span.to_json()
    assert "two a day" not in span.to_json()
    _, span, _ = await call(server, content=True)
    assert SECRET_PROMPT in str((span.attributes or {})["gen_ai.input.messages"])
    assert "two a day" in str((span.attributes or {})["gen_ai.output.messages"])
    assert KEY not in span.to_json()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("http_500", "provider_unavailable"), ("rate_limit", "rate_limited"), ("http_401", "provider_refused")],
)
async def test_a_failed_call_says_its_kind_and_no_more(server: ProviderServer, fault: str, kind: str) -> None:
    server.configure(faults={fault: 1.0})
    _, span, _ = await call(server)
    assert (span.attributes or {})["error.type"] == kind
    assert not span.status.is_ok
    assert KEY not in span.to_json()
