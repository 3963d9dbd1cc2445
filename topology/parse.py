"""Plain values -> spec: every problem in the user's words, at its place; nodes without one are usable though others are not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from topology.diagnostics import suggestion
from topology.spec import (
    KINDS,
    BaseNode,
    BatchSpec,
    BudgetSpec,
    ClaimCheckSpec,
    NodeSpec,
    RuleSpec,
    WorkflowFile,
    WorkflowSpec,
)
from topology.yaml_tree import DocPath

NODES: DocPath = ("workflow", "nodes")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at a path of the document: at its key or at its value."""

    path: DocPath
    message: str
    at: Literal["key", "value"] = "value"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The spec (None unless all of it is right), and the nodes that are right, by their index."""

    spec: WorkflowSpec | None
    nodes: Mapping[int, BaseNode]
    findings: tuple[Finding, ...]


def parse_spec(raw: Any) -> Parsed:
    """Return what `raw` says, and everything that is wrong with it."""
    empty = list(_empty_keys(raw))
    cleaned = _without(raw, {finding.path for finding in empty})
    try:
        spec = WorkflowFile.model_validate(cleaned).workflow
    except ValidationError as error:
        findings = {finding.path: finding for finding in map(_Translation(cleaned).finding, reversed(error.errors()))}
        merged = {**findings, **{finding.path: finding for finding in empty}}
        return Parsed(None, _usable_nodes(cleaned), tuple(merged.values()))
    nodes = dict(enumerate(spec.nodes))
    return Parsed(None if empty else spec, nodes, tuple(empty))


def raw_nodes(raw: Any) -> list[Any]:
    """Return the nodes as written, or none when there is no list of them."""
    workflow = raw.get("workflow") if isinstance(raw, dict) else None
    nodes = workflow.get("nodes") if isinstance(workflow, dict) else None
    return nodes if isinstance(nodes, list) else []


def _usable_nodes(raw: Any) -> dict[int, BaseNode]:
    adapter: TypeAdapter[BaseNode] = TypeAdapter(NodeSpec)
    usable = {}
    for index, node in enumerate(raw_nodes(raw)):
        try:
            usable[index] = adapter.validate_python(node)
        except ValidationError:
            continue
    return usable


def _empty_keys(raw: Any) -> Iterator[Finding]:
    """Find keys without a value: `when:` with nothing behind it would silently mean "always"."""
    workflow = raw.get("workflow") if isinstance(raw, dict) else None
    if not isinstance(workflow, dict):
        return
    holders: list[tuple[DocPath, Any]] = [(("workflow",), workflow)]
    holders += [((*NODES, index), node) for index, node in enumerate(raw_nodes(raw))]
    for path, holder in holders:
        for key, value in holder.items() if isinstance(holder, dict) else ():
            if value is None:
                subject = node_subject(raw, path) if len(path) > 1 else "workflow: "
                yield Finding((*path, key), f"{subject}{key} is empty: give it a value or leave the key out", "key")


def _without(raw: Any, paths: set[DocPath], at: DocPath = ()) -> Any:
    if not paths:
        return raw
    if isinstance(raw, dict):
        return {key: _without(value, paths, (*at, key)) for key, value in raw.items() if (*at, key) not in paths}
    if isinstance(raw, list) and len(at) < 3:
        return [_without(value, paths, (*at, index)) for index, value in enumerate(raw)]
    return raw


class _Translation:
    """Turns pydantic's errors into findings."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def finding(self, error: ErrorDetails) -> Finding:
        """Return where the error is in the document, and what to say."""
        kind = error["type"]
        path = self._path(error["loc"], kind)
        subject, key = self._subject(path), str(path[-1]) if path else ""
        if kind == "missing":
            return Finding(path, f"{subject}{key!r} is missing", "key")
        if kind == "extra_forbidden":
            known = _known_keys(path, self._raw)
            return Finding(path, f"{subject}unknown key {key!r}{suggestion(key, known)}", "key")
        if kind in ("union_tag_invalid", "union_tag_not_found"):
            return self._kind_finding(path, subject)
        name = f"{key} " if isinstance(path[-1] if path else 0, str) else ""
        return Finding(path, f"{subject}{name}{_complaint(error)}")

    def _kind_finding(self, path: DocPath, subject: str) -> Finding:
        kind = _at(self._raw, path).get("type")
        if kind is None:
            return Finding((*path, "type"), f"{subject}'type' is missing: one of {', '.join(KINDS)}", "key")
        hint = suggestion(str(kind), KINDS)
        return Finding((*path, "type"), f"{subject}type {str(kind)[:40]!r} is not one of {', '.join(KINDS)}{hint}")

    def _path(self, location: tuple[int | str, ...], kind: str) -> DocPath:
        """Return the location without what pydantic adds to it: the kind of the node, the branch of a union."""
        path: DocPath = ()
        current = self._raw
        for index, part in enumerate(location):
            if index == 3 and path[:2] == NODES:
                continue
            if part in _keys_of(current):
                current, path = current[part], (*path, part)
            elif kind == "missing" and index == len(location) - 1:
                path = (*path, part)
        return path

    def _subject(self, path: DocPath) -> str:
        if path[:2] != NODES or len(path) < 3:
            return "workflow: " if path[:1] == ("workflow",) and len(path) > 1 else ""
        return node_subject(self._raw, path)


def node_subject(raw: Any, path: DocPath) -> str:
    """Return `node 'x': ` for a path in a node."""
    node = _at(raw, path[:3])
    name = node.get("id") if isinstance(node, dict) else None
    return f"node {name!r}: " if isinstance(name, str) else f"node {int(path[2]) + 1}: "


def _at(raw: Any, path: DocPath) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def _keys_of(holder: Any) -> Collection[int | str]:
    return range(len(holder)) if isinstance(holder, list) else holder if isinstance(holder, dict) else ()


def _known_keys(path: DocPath, raw: Any) -> list[str]:
    return list(_model_at(path, raw).model_fields)


def _model_at(path: DocPath, raw: Any) -> type[BaseModel]:
    match path:
        case ("workflow", "nodes", _, "batch", _):
            return BatchSpec
        case ("workflow", "nodes", _, "rules", _, _):
            return RuleSpec
        case ("workflow", "nodes", int(), *_):
            return KINDS[_at(raw, path[:3])["type"]]
        case ("workflow", "budget" | "daily_budget", _):
            return BudgetSpec
        case ("workflow", "claim_check", _):
            return ClaimCheckSpec
        case ("workflow", _):
            return WorkflowSpec
    return WorkflowFile


_TYPES = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def _complaint(error: ErrorDetails) -> str:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind in _TYPES:
        expected = "a list or a mapping" if "routes" in error["loc"][-2:-1] else _TYPES[kind]
        if value is None:
            return f"must be {expected}, it is empty"
        hint = ": write it in quotes" if kind == "string_type" and isinstance(value, int | float) else ""
        return f"must be {expected}, not {_shown(value)}{hint}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"must be {words} {context[bound]:.15g}, not {_shown(value)}"
    if kind == "string_pattern_mismatch":
        return f"{str(value)[:60]!r} is not allowed: {_PATTERNS.get(_pattern_key(error), 'it does not fit')}"
    if kind == "string_too_long":
        return f"has {len(str(value))} characters, at most {context['max_length']} are allowed"
    if kind in ("string_too_short", "too_short"):
        return "must not be empty"
    if kind == "too_long":
        return f"has {context['actual_length']} entries, at most {context['max_length']} are allowed"
    if kind == "literal_error":
        return f"must be {context['expected']}, not {_shown(value)}{suggestion(str(value), _expected(context))}"
    return error["msg"][:1].lower() + error["msg"][1:]


_PATTERNS = {
    "workflow id": "it has letters, digits and '-', and begins with no '-' ('_' and '.' are one character in Kafka's metrics)",
    "node id": "it has lower-case letters, digits and '_', and begins with a letter",
    "version": "it has letters, digits and '.', '-', '+', '_', and begins with a letter or digit",
}


def _pattern_key(error: ErrorDetails) -> str:
    key = str(error["loc"][-1])
    return key if key != "id" else "node id" if len(error["loc"]) > 2 else "workflow id"


def _expected(context: Mapping[str, Any]) -> list[str]:
    return [word.strip("'") for word in str(context.get("expected", "")).replace(" or ", ", ").split(", ")]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {value[:60]!r}"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return str(value)[:60]
