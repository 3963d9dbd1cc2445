"""The workflow that is measured: classify -> (extract, sentiment) -> summarize, function nodes that sleep, with a budget set."""

from __future__ import annotations

import json

NODES = 4
INPUT_BYTES = 1_000
OUTPUT_BYTES = 500
HANDLER_FILE = "handler.py"


def handler(node_s: float, output_bytes: int = OUTPUT_BYTES) -> str:
    """Return the handler's source."""
    sleep = f"    await asyncio.sleep({node_s})\n" if node_s else ""
    text = "x" * max(1, output_bytes - len('{"text":""}'))
    return f'import asyncio\n\nTEXT = "{text}"\n\n\nasync def handle(inputs, context):\n{sleep}    return {{"text": TEXT}}\n'


def handler_with_a_long_call(seconds: float) -> str:
    """Return a handler that answers at once, but for inputs that say `slow`."""
    return (
        'import asyncio\n\n\nasync def handle(inputs, context):\n    if context.node == "classify" and inputs["input"].get("slow"):\n'
        f'        await asyncio.sleep({seconds})\n    return {{"text": ""}}\n'
    )


def workflow(name: str, timeout_ms: int = 60_000) -> str:
    """Return the diamond's workflow file."""
    edges = {"classify": [], "extract": ["classify"], "sentiment": ["classify"], "summarize": ["extract", "sentiment"]}
    return workflow_of(name, edges, timeout_ms)


def chains(name: str, nodes: int) -> str:
    """Return a workflow of so many nodes in chains of four, which all begin with the input."""
    edges = {f"n{i}": [f"n{i - 1}"] if i % 4 else [] for i in range(nodes)}
    return workflow_of(name, edges, 60_000)


def workflow_of(name: str, edges: dict[str, list[str]], timeout_ms: int) -> str:
    """Return a workflow file of function nodes; `concurrency` is as high as it goes, so that the engine is what limits."""
    nodes = "".join(
        f"    - {{id: {node}, type: function, handler: {HANDLER_FILE}, concurrency: 10000, timeout_ms: {timeout_ms},"
        f" dependencies: [{', '.join(above)}]}}\n"
        for node, above in edges.items()
    )
    return (
        f"workflow:\n  id: {name}\n  version: 1.0.0\n"
        f"  budget: {{max_tokens: 100000, max_cost_usd: 1.0}}\n  nodes:\n{nodes}"
    )


def input_of(size: int = INPUT_BYTES) -> bytes:
    """Return an input of `size` bytes."""
    text = json.dumps({"text": ""})
    return json.dumps({"text": "x" * max(1, size - len(text))}).encode()
