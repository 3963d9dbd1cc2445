"""What goes over the wire, and what a good answer becomes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from benchmarks.provider import ChatRequest as Received
from benchmarks.provider import ProviderServer, Rule
from streams.core.outcome import Done, Usage
from streams.providers import ChatProvider, Price, ProviderConfig, local_provider
from streams.providers.answers import read_answer
from tests.providers.test_chat_faults import OUTPUT, SCHEMA, request


@pytest.fixture
def received(server: ProviderServer) -> list[Received]:
    seen: list[Received] = []
    server.configure(answer=seen.append)
    return seen


async def test_everything_asked_for_is_sent(provider: ChatProvider, received: list[Received]) -> None:
    await provider.complete(request(messages=("one", "two"), temperature=0.2, params={"top_p": 0.5, "seed": 7}))
    assert received[0].body == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}],
        "max_tokens": 100,
        "temperature": 0.2,
        "top_p": 0.5,
        "seed": 7,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "classify", "strict": True, "schema": SCHEMA},
        },
    }
    assert received[0].key == "r1/classify/0/1"


async def test_nothing_else_is_sent(provider: ChatProvider, received: list[Received]) -> None:
    await provider.complete(request(output=None))
    assert set(received[0].body) == {"model", "messages", "max_tokens"}


async def test_params_cannot_change_what_the_outcome_is_read_by(
    provider: ChatProvider, received: list[Received]
) -> None:
    params: dict[str, Any] = {"model": "other", "stream": True, "n": 5, "max_tokens": 1, "max_completion_tokens": 1}
    assert isinstance(await provider.complete(request(params={**params, "messages": [], "response_format": {}})), Done)
    assert (received[0].model, received[0].stream, received[0].max_tokens) == ("gpt-4o-mini", False, 100)


@pytest.mark.parametrize("run_id", ["r1", "ünï", "a b", "x\r\ny: z", "100%", "日本"])
async def test_any_run_id_fits_into_the_header(provider: ChatProvider, received: list[Received], run_id: str) -> None:
    assert isinstance(await provider.complete(request(idempotency_key=f"{run_id}/n/0/1")), Done)
    assert received[0].key is not None
    assert received[0].key.endswith("/n/0/1")


async def test_a_good_object(server: ProviderServer, provider: ChatProvider) -> None:
    server.configure(rules=(Rule(answer={"label": "invoice", "amount": 12.5}),))
    outcome = await provider.complete(request())
    raw = '{"label":"invoice","amount":12.5}'
    assert isinstance(outcome, Done)
    assert len(outcome.prompt_hash or "") == 64
    assert replace(outcome, prompt_hash=None) == Done(
        {"label": "invoice", "amount": 12.5}, Usage(4, 9), pytest.approx(6e-6), "gpt-4o-mini", raw=raw
    )


async def test_without_a_schema_the_answer_is_a_text(server: ProviderServer, provider: ChatProvider) -> None:
    server.configure(rules=(Rule(answer="Hello."),))
    outcome = await provider.complete(request(output=None))
    assert isinstance(outcome, Done)
    assert outcome.output == {"text": "Hello."}


async def test_a_local_model_is_asked_by_its_own_name_and_is_free(server: ProviderServer) -> None:
    provider = ChatProvider(local_provider(server.base_url, "smollm2"))
    outcome = await provider.complete(request())
    await provider.aclose()
    assert isinstance(outcome, Done)
    assert (outcome.cost_usd, outcome.model) == (0.0, "smollm2")
    assert server.calls[0].model == "smollm2"


async def test_an_unknown_model_has_an_unknown_price(server: ProviderServer, provider: ChatProvider) -> None:
    outcome = await provider.complete(replace(request(output=None), model="my-own-model"))
    assert isinstance(outcome, Done)
    assert outcome.cost_usd is None


async def test_prices_and_parameter_name_come_from_the_settings(server: ProviderServer) -> None:
    config = ProviderConfig(
        "acme",
        SecretStr("k"),
        server.base_url,
        max_tokens_param="max_completion_tokens",
        prices={"gpt-4o*": Price(1.0, 2.0)},
    )
    provider = ChatProvider(config)
    seen: list[Received] = []
    server.configure(answer=lambda asked: seen.append(asked) or {"label": "x", "amount": 1})  # type: ignore[func-returns-value]
    outcome = await provider.complete(request())
    await provider.aclose()
    assert isinstance(outcome, Done)
    assert outcome.cost_usd == pytest.approx((4 * 1.0 + outcome.usage.completion_tokens * 2.0) / 1e6)
    assert "max_completion_tokens" in seen[0].body
    assert "max_tokens" not in seen[0].body


async def test_openai_organization_is_not_told_to_other_providers(
    server: ProviderServer, received: list[Received], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    for name in ("acme", "default"):
        provider = ChatProvider(ProviderConfig(name, SecretStr("k"), server.base_url))
        await provider.complete(request())
        await provider.aclose()
    assert ["openai-organization" in asked.headers for asked in received] == [False, True]


async def test_hundreds_at_once_share_one_client(server: ProviderServer, provider: ChatProvider) -> None:
    waiting = {"latency": server.config.latency.parse("fixed:200")}
    server.configure(**waiting)
    outcomes = await asyncio.gather(*(provider.complete(request(idempotency_key=f"r{n}/n/0/1")) for n in range(300)))
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert server.ledger.max_in_flight > 100
    assert server.ledger.summary()["answered_more_than_once"] == 0


async def test_a_closed_provider_can_be_used_again(provider: ChatProvider) -> None:
    await provider.aclose()
    assert isinstance(await provider.complete(request()), Done)


ODD_BODIES = [
    b"null",
    b"[]",
    b'"text"',
    b"{}",
    b'{"choices": null}',
    b'{"choices": "x"}',
    b'{"choices": [null]}',
    b'{"choices": [{}]}',
    b'{"choices": [{"message": null, "finish_reason": "stop"}]}',
    b'{"choices": [{"message": {"content": [1]}, "finish_reason": "stop"}], "usage": "no"}',
    b'{"choices": [{"message": {"content": "{}"}, "finish_reason": 7}], "usage": {"prompt_tokens": "1"}}',
    b'{"choices": [{"message": {"content": "\\ud800"}, "finish_reason": "stop"}]}',
    b"\xff\xfe",
    b"",
    orjson.dumps({"choices": [{"message": {"content": "[" * 2000}, "finish_reason": "stop"}]}),
]


@pytest.mark.parametrize("body", ODD_BODIES)
async def test_no_body_makes_the_call_raise(body: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    provider = ChatProvider(ProviderConfig("odd", SecretStr("k"), f"http://127.0.0.1:{port}/v1"))
    try:
        outcome = await provider.complete(request(output=OUTPUT))
    finally:
        await provider.aclose()
        listening.close()
        await listening.wait_closed()
    assert not isinstance(outcome, Done)
    assert outcome.error.kind in ("provider_unavailable", "malformed_output")


@pytest.mark.parametrize("usage", ["null", "{}", '{"prompt_tokens": null}', "[]"])
def test_what_nobody_counted_is_unknown(usage: str) -> None:
    body = '{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": %s}' % usage  # noqa: UP031
    assert read_answer(body.encode()).usage is None
