"""Plans of single nodes, handlers written into a folder, and resources to run them with."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from benchmarks.provider import ProviderServer
from streams.core.outcome import NodeInput
from streams.nodes import Node, Resources, build
from streams.providers import ProviderConfig, ProviderRegistry
from topology.plan import FunctionPlan, LlmPlan, NodePlan, RetryPolicy

API_KEY = "sk-test-0123456789abcdef"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "confidence": {"type": "number"}},
    "required": ["label", "confidence"],
    "additionalProperties": False,
}


def node_plan(kind: Any, reads: tuple[str, ...] = (), **parts: Any) -> NodePlan:
    return NodePlan(
        id="classify",
        kind=kind,
        dependencies=reads,
        reads=reads,
        reads_input=True,
        join="all_success",
        when=None,
        idempotency_key=None,
        retry=RetryPolicy(2, 100),
        timeout_ms=5_000,
        concurrency=8,
        topic="wf.classify",
        table="classify",
        **parts,
    )


def llm_plan(
    prompt: str = "Classify: {{ input.text }}",
    schema: dict[str, Any] | None = SCHEMA,
    reads: tuple[str, ...] = (),
    **changes: Any,
) -> NodePlan:
    values = {"models": ("gpt-4o-mini",), "max_output_tokens": 200, "temperature": None, "params": {}, **changes}
    return node_plan(
        "llm", reads, llm=LlmPlan(prompt=prompt, prompt_path="prompts/p.j2", output_schema=schema, **values)
    )


def function_plan(path: Path | None, name: str = "handle", module: str | None = None) -> NodePlan:
    return node_plan("function", function=FunctionPlan(None if path is None else str(path), module, name))


def attempt(text: Any = "hello", **changes: Any) -> NodeInput:
    values: dict[str, Any] = {"inputs": {"input": {"text": text}}, "seq": 1, "attempt": 1, **changes}
    return NodeInput(workflow_id="wf", run_id="r1", node="classify", epoch=0, **values)


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    async with ProviderServer() as running:
        yield running


@pytest.fixture
async def resources(server: ProviderServer) -> AsyncIterator[Resources]:
    config = ProviderConfig("default", SecretStr(API_KEY), server.base_url)
    made = Resources(ProviderRegistry([config]))
    yield made
    await made.aclose()


HandlerNode = Callable[..., Node]


@pytest.fixture
def handler(tmp_path: Path, resources: Resources) -> HandlerNode:
    """Write a handler file and build the node around it."""

    def make(source: str, file: str = "handlers/handler.py", name: str = "handle", workflow: str = "wf") -> Node:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return build(function_plan(path, name), workflow, resources)

    return make
