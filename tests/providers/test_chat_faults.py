"""Every fault a provider can have, over real HTTP, becomes the right kind of failed attempt."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from pydantic import SecretStr

from benchmarks.provider import ProviderServer, Rule
from streams.core.outcome import Done, Failed, Usage
from streams.providers import ChatProvider, ChatRequest, ProviderConfig
from streams.providers.openai_chat import OutputSchema
from streams.providers.redact import RAW_CHARS
from tests.providers.conftest import API_KEY
from topology.json_schema import compile_schema

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "amount": {"type": "number"}},
    "required": ["label", "amount"],
    "additionalProperties": False,
}
OUTPUT = OutputSchema("classify", SCHEMA, compile_schema(SCHEMA, "classify.json"))


def request(timeout_ms: int = 5_000, output: OutputSchema | None = OUTPUT, **changes: Any) -> ChatRequest:
    values = {"max_output_tokens": 100, "idempotency_key": "r1/classify/0/1", "messages": ("Classify this.",)}
    return ChatRequest("gpt-4o-mini", timeout_ms=timeout_ms, output=output, **{**values, **changes})


PAID = "the answer came, so it is paid"
UNPAID = "no answer, nothing to pay"
FAULTS = [
    ("rate_limit", "rate_limited", True, UNPAID),
    ("rate_limit_date", "rate_limited", True, UNPAID),
    ("rate_limit_ms", "rate_limited", True, UNPAID),
    ("http_400", "provider_refused", False, UNPAID),
    ("http_401", "provider_refused", False, UNPAID),
    ("http_404", "provider_refused", False, UNPAID),
    ("http_408", "provider_unavailable", True, UNPAID),
    ("http_409", "provider_unavailable", True, UNPAID),
    ("http_500", "provider_unavailable", True, UNPAID),
    ("http_503", "provider_unavailable", True, UNPAID),
    ("reset", "provider_unavailable", True, UNPAID),
    ("close", "provider_unavailable", True, UNPAID),
    ("cut_body", "provider_unavailable", True, UNPAID),
    ("malformed_body", "provider_unavailable", True, UNPAID),
    ("html_body", "provider_unavailable", True, UNPAID),
    ("no_choices", "provider_unavailable", True, UNPAID),
    ("no_finish_reason", "provider_unavailable", True, PAID),
    ("length", "length", True, PAID),
    ("content_filter", "refusal", True, PAID),
    ("refusal", "refusal", True, PAID),
    ("truncated_json", "malformed_output", True, PAID),
    ("not_an_object", "malformed_output", True, PAID),
    ("empty_content", "malformed_output", True, PAID),
    ("schema_break", "schema", True, PAID),
]


@pytest.mark.parametrize(("fault", "kind", "retryable", "paid"), FAULTS, ids=[row[0] for row in FAULTS])
async def test_a_fault_becomes_its_kind(
    server: ProviderServer, provider: ChatProvider, fault: str, kind: str, retryable: bool, paid: str
) -> None:
    server.configure(faults={fault: 1.0})
    outcome = await provider.complete(request())
    assert isinstance(outcome, Failed)
    assert (outcome.error.kind, outcome.error.retryable) == (kind, retryable)
    assert (outcome.usage != Usage()) == (paid == PAID)
    assert ((outcome.cost_usd or 0) > 0) == (paid == PAID)
    assert API_KEY not in repr(outcome)
    assert len(server.calls) == 1  # the client itself never retries


@pytest.mark.parametrize("fault", ["hang", "slow_loris"])
async def test_a_silent_or_trickling_provider_is_cut_by_the_executor(
    server: ProviderServer, provider: ChatProvider, fault: str
) -> None:
    server.configure(faults={fault: 1.0}, trickle_ms=50)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await provider.complete(request())


@pytest.mark.parametrize("fault", ["hang", "slow_loris"])
async def test_the_timeout_is_of_the_whole_call_and_aborts_it(
    server: ProviderServer, provider: ChatProvider, fault: str
) -> None:
    server.configure(faults={fault: 1.0}, trickle_ms=50)
    outcome = await provider.complete(request(timeout_ms=300))
    assert isinstance(outcome, Failed)
    assert (outcome.error.kind, outcome.error.retryable, outcome.metered) == ("timeout", True, False)
    await server._quiet.wait()  # its connection is closed
    assert [call.status for call in server.calls] == [0]


async def test_a_handshake_that_fails_has_sent_nothing(server: ProviderServer) -> None:
    over_tls = server.base_url.replace("http://", "https://")
    provider = ChatProvider(ProviderConfig("acme", SecretStr(API_KEY), over_tls))
    outcome = await provider.complete(request())
    await provider.aclose()
    assert isinstance(outcome, Failed)
    assert (outcome.error.kind, outcome.metered, outcome.cost_usd) == ("provider_unavailable", True, 0.0)
    assert server.calls == []


async def test_nobody_listens(provider: ChatProvider, server: ProviderServer) -> None:
    await server.__aexit__()
    outcome = await provider.complete(request())
    await server.__aenter__()
    assert isinstance(outcome, Failed)
    assert outcome.error.kind == "provider_unavailable"
    assert "acme" in outcome.error.message


@pytest.mark.parametrize(
    ("fault", "lowest", "highest"),
    [("rate_limit", 7_000, 7_000), ("rate_limit_ms", 7_000, 7_000), ("rate_limit_date", 5_000, 7_000)],
)
async def test_the_providers_wish_to_wait_is_kept(
    server: ProviderServer, provider: ChatProvider, fault: str, lowest: int, highest: int
) -> None:
    server.configure(faults={fault: 1.0}, retry_after_s=7)
    outcome = await provider.complete(request())
    assert isinstance(outcome, Failed)
    assert outcome.error.retry_after_ms is not None
    assert lowest <= outcome.error.retry_after_ms <= highest


async def test_a_provider_that_repeats_the_key_does_not_give_it_away(
    server: ProviderServer, provider: ChatProvider
) -> None:
    server.configure(faults={"http_401": 1.0})
    outcome = await provider.complete(request())
    assert isinstance(outcome, Failed)
    assert "Incorrect API key provided" in outcome.error.message
    assert API_KEY not in outcome.error.message


async def test_a_broken_schema_is_told_with_its_path(server: ProviderServer, provider: ChatProvider) -> None:
    server.configure(rules=(Rule(answer={"label": "x", "amount": "a lot"}),))
    outcome = await provider.complete(request())
    assert isinstance(outcome, Failed)
    assert "amount: " in outcome.error.message
    assert outcome.raw == '{"label":"x","amount":"a lot"}'


async def test_a_huge_wrong_answer_is_capped(server: ProviderServer, provider: ChatProvider) -> None:
    server.configure(rules=(Rule(answer="[" + "1," * 100_000 + "1]"),))
    outcome = await provider.complete(request(max_output_tokens=1_000_000))
    assert isinstance(outcome, Failed)
    assert outcome.raw is not None
    assert len(outcome.raw) < RAW_CHARS + 100


async def test_the_same_connection_works_after_each_fault(server: ProviderServer, provider: ChatProvider) -> None:
    faults = [row[0] for row in FAULTS]
    steps = tuple(step for fault in faults for step in (fault, "ok"))
    server.configure(rules=(Rule(sequence=steps),))
    provider.gate.clock = itertools.count(0, 3_600_000).__next__  # an hour between calls: nothing is held back
    outcomes = [await provider.complete(request()) for _ in steps]
    assert [type(outcome) for outcome in outcomes] == [Failed, Done] * len(faults)


async def test_cancelling_passes_through(server: ProviderServer, provider: ChatProvider) -> None:
    server.configure(faults={"hang": 1.0})
    call = asyncio.create_task(provider.complete(request()))
    await server.called()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
