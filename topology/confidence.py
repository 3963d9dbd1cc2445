"""What `min_confidence` asks of an output schema: the number it is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from topology.json_schema import Schema
from topology.parse import NODES, Finding
from topology.spec import BaseNode, LlmNode

FIELD = "confidence"
_NUMBERS = frozenset({"number", "integer"})


def check_confidence(nodes: Mapping[int, BaseNode], schemas: Mapping[str, Schema]) -> Iterator[tuple[Finding, bool]]:
    """Yield (finding, is an error) for llm nodes whose answers cannot, or need not, say how sure they are."""
    for index, node in nodes.items():
        if not isinstance(node, LlmNode) or node.min_confidence is None:
            continue
        path = (*NODES, index, "min_confidence")
        if node.output_schema is None:
            yield (
                Finding(
                    path, f"node {node.id!r}: min_confidence needs an output_schema with a number {FIELD!r}", "key"
                ),
                True,
            )
        elif node.id in schemas:
            yield from _check_schema(node, path, schemas[node.id])


def _check_schema(node: LlmNode, path: tuple[str | int, ...], schema: Schema) -> Iterator[tuple[Finding, bool]]:
    root = schema.schema
    field = root.get("properties", {}).get(FIELD)
    if not isinstance(field, dict) or field.get("type") not in _NUMBERS:
        message = (
            f"node {node.id!r}: min_confidence needs a number {FIELD!r} among the properties of {node.output_schema}"
        )
        yield Finding(path, message, "key"), True
    elif FIELD not in root.get("required", ()):
        message = (
            f"node {node.id!r}: {FIELD!r} is not required in {node.output_schema}: an answer without it counts as low"
        )
        yield Finding(path, message, "key"), False
