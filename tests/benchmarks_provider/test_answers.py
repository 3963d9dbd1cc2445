"""The official client understands what the server says."""

from __future__ import annotations

import openai
import orjson
import pytest
from openai import AsyncOpenAI

from benchmarks.provider import ChatRequest, ProviderServer, Rule
from tests.benchmarks_provider.conftest import chat
from topology.json_schema import compile_schema

SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["a", "b"]}, "confidence": {"type": "number", "minimum": 0, "maximum": 1}},
    "required": ["label", "confidence"],
    "additionalProperties": False,
}
FORM = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}}


async def test_a_text(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(**chat())
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 2
    assert answer.usage.completion_tokens == -(-len(answer.choices[0].message.content) // 4)


async def test_the_same_prompt_has_the_same_answer_for_one_seed(server: ProviderServer, client: AsyncOpenAI) -> None:
    async def content() -> str | None:
        return (await client.chat.completions.create(**chat(response_format=FORM))).choices[0].message.content

    first = await content()
    assert await content() == first
    server.configure(seed=1)
    assert await content() != first


async def test_structured_output_keeps_to_the_schema(client: AsyncOpenAI) -> None:
    schema = compile_schema(SCHEMA, "x")
    for number in range(20):
        answer = await client.chat.completions.create(**chat(f"prompt {number}", response_format=FORM))
        value = orjson.loads(answer.choices[0].message.content or "")
        assert schema.validate(value) == []
        assert value["confidence"] >= 0.9


async def test_low_confidence_is_valid_and_low(server: ProviderServer, client: AsyncOpenAI) -> None:
    server.configure(faults={"low_confidence": 1.0})
    answer = await client.chat.completions.create(**chat(response_format=FORM))
    assert orjson.loads(answer.choices[0].message.content or "")["confidence"] == 0.05


@pytest.mark.parametrize("chunk_ms", [0, 1])
async def test_streaming(server: ProviderServer, client: AsyncOpenAI, chunk_ms: int) -> None:
    whole = (await client.chat.completions.create(**chat())).choices[0].message.content
    server.configure(chunk_ms=chunk_ms)
    stream = await client.chat.completions.create(**chat(stream=True, stream_options={"include_usage": True}))
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert len(chunks) > 5


async def test_a_cut_stream_has_no_finish_reason(server: ProviderServer, client: AsyncOpenAI) -> None:
    server.configure(faults={"cut_stream": 1.0})
    chunks = [chunk async for chunk in await client.chat.completions.create(**chat(stream=True))]
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks)


async def test_a_malformed_chunk_is_a_bare_json_error(server: ProviderServer, client: AsyncOpenAI) -> None:
    server.configure(faults={"malformed_chunk": 1.0})
    stream = await client.chat.completions.create(**chat(stream=True))
    with pytest.raises(ValueError, match=r"."):
        _ = [chunk async for chunk in stream]


async def test_an_answer_longer_than_asked_is_cut(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(**chat(max_tokens=3))
    assert answer.choices[0].finish_reason == "length"
    assert len(answer.choices[0].message.content or "") == 12


async def test_rules_by_text_model_and_key(server: ProviderServer, client: AsyncOpenAI) -> None:
    server.configure(
        rules=(
            Rule(contains="invoice", answer={"label": "invoice"}),
            Rule(model="gpt-4o", answer="big"),
            Rule(key_contains="/extract/", answer="extracted"),
        )
    )

    async def content(prompt: str, model: str = "gpt-4o-mini", key: str = "") -> str | None:
        asked = {**chat(prompt), "model": model}
        answer = await client.chat.completions.create(**asked, extra_headers={"Idempotency-Key": key})
        return answer.choices[0].message.content

    assert await content("an invoice", "gpt-4o") == '{"label":"invoice"}'
    assert await content("else", "gpt-4o") == "big"
    assert await content("else", key="r1/extract/0/1") == "extracted"
    assert await content("else") not in ("big", "extracted")


async def test_a_function_may_answer(server: ProviderServer, client: AsyncOpenAI) -> None:
    def answer(asked: ChatRequest) -> object:
        return {"echo": asked.prompt} if "echo" in asked.text else None

    server.configure(answer=answer)
    assert (await client.chat.completions.create(**chat("echo"))).choices[0].message.content == '{"echo":"echo"}'


async def test_models_and_keys(server: ProviderServer, client: AsyncOpenAI) -> None:
    assert [model.id async for model in await client.models.list()] == ["gpt-4o", "gpt-4o-mini"]
    server.configure(api_key="the-right-one")
    with pytest.raises(openai.AuthenticationError):
        await client.chat.completions.create(**chat())
