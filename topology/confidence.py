"""What `min_confidence` asks of an output schema: the number it is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from topology.diagnostics import Severity
from topology.json_schema import Schema
from topology.parse import NODES, Finding
from topology.spec import BaseNode, LlmNode

FIELD = "confidence"
_NUMBERS = frozenset({"number", "integer"})
_ANYTHING = frozenset({"anything"})
_MAX_DEPTH = 8
"""A `$ref` may lead to itself, and a schema may be nested without end."""


def check_confidence(
    nodes: Mapping[int, BaseNode], schemas: Mapping[str, Schema]
) -> Iterator[tuple[Finding, Severity]]:
    """Find llm nodes whose answers cannot, or need not, say how sure they are; `schemas` has the usable ones by node."""
    for index, node in nodes.items():
        if isinstance(node, LlmNode) and node.min_confidence is not None:
            for severity, message in _complaints(node, schemas.get(node.id)):
                yield Finding((*NODES, index, "min_confidence"), f"node {node.id!r}: {message}", "key"), severity


def _complaints(node: LlmNode, schema: Schema | None) -> Iterator[tuple[Severity, str]]:
    if node.output_schema is None:
        yield "error", f"min_confidence needs an output_schema with a number {FIELD!r}"
        return
    if schema is None:
        return  # why it cannot be used is said already
    root = schema.schema
    types = _types(root.get("properties", {}).get(FIELD), root)
    if not types & _NUMBERS:
        yield "error", f"min_confidence needs a number {FIELD!r} among the properties of {node.output_schema}"
        return
    if types - _NUMBERS:
        yield "warning", f"{FIELD!r} need not be a number in {node.output_schema}: anything else counts as low"
    if FIELD not in root.get("required", ()):
        yield "warning", f"{FIELD!r} is not required in {node.output_schema}: an answer without it counts as low"


def _types(field: Any, root: dict[str, Any], depth: int = 0) -> frozenset[str]:
    """Return the types a value of `field` can have, as far as `type`, `$ref`, `allOf`, `anyOf` and `oneOf` tell."""
    if not isinstance(field, dict) or depth == _MAX_DEPTH:
        return _ANYTHING
    if "type" in field:
        said = field["type"]
        return frozenset({said} if isinstance(said, str) else said)
    if isinstance(field.get("$ref"), str):
        return _types(_target(field["$ref"], root), root, depth + 1)
    for arm in field.get("allOf", ()):
        if (types := _types(arm, root, depth + 1)) != _ANYTHING:
            return types
    arms = [*field.get("anyOf", ()), *field.get("oneOf", ())]
    return frozenset().union(*(_types(arm, root, depth + 1) for arm in arms)) if arms else _ANYTHING


def _target(reference: str, root: dict[str, Any]) -> Any:
    """Return what a JSON pointer names, None if it is no pointer of this file or leads through a list."""
    found: Any = root
    for part in unquote(reference.removeprefix("#")).split("/")[1:]:
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found if reference in ("#", "") or reference.startswith("#/") else None
