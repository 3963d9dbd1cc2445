"""What each node names in its prompt, its conditions and its keys: the data edges, and every name or field that does not exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from topology.diagnostics import Diagnostic, suggestion
from topology.expressions import (
    Condition,
    Expression,
    ExpressionError,
    Interpolation,
    compile_condition,
    compile_expression,
    compile_interpolation,
    line_and_col,
)
from topology.graph import Graph, never_run
from topology.json_schema import closed_properties
from topology.parse import NODES
from topology.place import Place
from topology.plan import INPUT
from topology.resources import Prompt, Resources
from topology.spec import BaseNode, RouterNode
from topology.yaml_tree import DocPath

ITEM_NAMES = frozenset({"item", "index"})
"""What a node with `for_each` sees beside `input` and its ancestors."""
ROUTES = "routes"
"""What a router's prompt sees beside `input` and its ancestors."""
ROUTER_FIELDS = frozenset({"route", "confidence", "by"})
FOR_EACH_FIELDS = frozenset({"items"})

Compiled = Expression | Interpolation


@dataclass(slots=True)
class References:
    """The names each node uses, by node id, and what is wrong with them."""

    names: dict[str, frozenset[str]] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


def check_references(place: Place, graph: Graph, nodes: Mapping[int, BaseNode], resources: Resources) -> References:
    """Return what every node names, having checked each name and field."""
    return _Checker(place, graph, nodes, resources).check()


class _Checker:
    def __init__(self, place: Place, graph: Graph, nodes: Mapping[int, BaseNode], resources: Resources) -> None:
        self._place = place
        self._graph = graph
        self._nodes = nodes
        self._resources = resources
        self._fields = dict(_output_fields(nodes, resources))
        self._never: dict[str, str] = {}
        self._found = References()

    def check(self) -> References:
        """Walk the nodes in the order of the file."""
        for index, node in self._nodes.items():
            used: set[str] = set()
            for path, compiled in self._expressions((*NODES, index), node):
                used |= compiled.references - self._item_names(node)
                self._check_uses(node, path, compiled)
            if node.id in self._resources.prompts:
                used |= self._check_prompt(node, self._resources.prompts[node.id])
            self._found.names[node.id] = frozenset(used)
        joins = {node.id: node.join for node in self._nodes.values()}
        for finding in never_run(self._graph, self._never, joins) if self._never else ():
            self._found.warnings.append(self._place.diagnostic(finding, "warning"))
        return self._found

    def _expressions(self, path: DocPath, node: BaseNode) -> Iterator[tuple[DocPath, Compiled]]:
        """Compile every expression of a node; those that do not compile are reported and left out."""
        named = frozenset({INPUT, *self._graph.dependencies})
        key_names = named | ITEM_NAMES if node.for_each else named
        sources: list[tuple[DocPath, str | None, Callable[[str, Iterable[str]], Compiled], frozenset[str]]] = [
            ((*path, "when"), node.when, compile_condition, named),
            ((*path, "for_each"), node.for_each, compile_expression, named),
            ((*path, "idempotency_key"), node.idempotency_key, compile_interpolation, key_names),
        ]
        for position, rule in enumerate(node.rules if isinstance(node, RouterNode) else ()):
            sources.append(((*path, "rules", position, "when"), rule.when, compile_condition, named))
        for at, source, compiler, names in sources:
            if source is None:
                continue
            try:
                compiled = compiler(source, names)
            except ExpressionError as error:
                self._say_within(node, at, source, error.line, error.col, error.message)
                continue
            self._check_constant(node, at, compiled)
            yield at, compiled

    def _check_constant(self, node: BaseNode, path: DocPath, compiled: Compiled) -> None:
        if isinstance(compiled, Interpolation) and not compiled.references:
            root = compiled.source.partition(".")[0].strip()
            if root == INPUT or root in self._graph.order:  # a constant is a key, too; this one was meant to be none
                message = f"idempotency_key is the text {compiled.source!r}: write it as ${{{compiled.source}}}"
                self._say_within(node, path, compiled.source, 1, 1, message)
        if path[-1] == "when" and len(path) == 4 and isinstance(compiled, Condition) and _always_false(compiled):
            self._never[node.id] = "its condition is always false"
            self._warn_within(node, path, compiled.source, "can never run: when is always false")

    def _check_uses(self, node: BaseNode, path: DocPath, compiled: Compiled) -> None:
        seen: set[tuple[str, str | None]] = set()
        items = self._item_names(node) if path[-1] == "idempotency_key" else frozenset()
        for use in compiled.uses:
            message = None if use.name in items else self._complaint(node, use.name, use.field)
            if message and (use.name, use.field) not in seen:
                seen.add((use.name, use.field))
                self._say_within(node, path, compiled.source, *line_and_col(compiled.source, use.offset), message)

    def _check_prompt(self, node: BaseNode, prompt: Prompt) -> frozenset[str]:
        template = prompt.template
        file = str(self._place.file(template.path))
        items = frozenset({ROUTES}) if isinstance(node, RouterNode) else self._item_names(node)
        items -= self._graph.ancestors.get(node.id, frozenset())
        for name, line in template.names.items():
            message = None if name in items else self._complaint(node, name, None)
            if message:
                self._found.errors.append(Diagnostic(file, line, 1, f"node {node.id!r}: {message}"))
        for read in template.fields:
            known = read.name not in items and not self._complaint(node, read.name, None)
            message = self._complaint(node, read.name, read.field) if known else None
            if message:
                self._found.errors.append(Diagnostic(file, read.line, 1, f"node {node.id!r}: {message}"))
        return frozenset(template.names) - items

    def _item_names(self, node: BaseNode) -> frozenset[str]:
        """Return what an item of the node is called; a node above it of that name hides it."""
        ancestors = self._graph.ancestors.get(node.id, frozenset())
        return ITEM_NAMES - ancestors if node.for_each else frozenset()

    def _complaint(self, node: BaseNode, name: str, field: str | None) -> str | None:
        """Return what is wrong with `node` naming `name` and reading `field` of it."""
        visible = {INPUT} | self._graph.ancestors.get(node.id, frozenset())
        if name in ITEM_NAMES and node.for_each:
            return None
        if name not in visible:
            return self._invisible(node, name, visible)
        fields = self._fields.get(name)
        if field is not None and fields is not None and field not in fields:
            return f"{name!r} has no field {field!r} by its schema{suggestion(field, fields)}"
        return None

    def _invisible(self, node: BaseNode, name: str, visible: set[str]) -> str:
        if name == node.id:
            return "a node does not see its own output"
        if name not in self._graph.dependencies:
            return f"unknown name {name!r}{suggestion(name, visible)}"
        if node.id in self._graph.ancestors.get(name, ()):
            return f"{name!r} runs after {node.id!r}, so there is no output of it yet"
        return f"{name!r} is not above {node.id!r}: add it to dependencies"

    def _say_within(self, node: BaseNode, path: DocPath, source: str, line: int, col: int, message: str) -> None:
        self._found.errors.append(self._place.within(path, source, line, col, f"node {node.id!r}: {message}"))

    def _warn_within(self, node: BaseNode, path: DocPath, source: str, message: str) -> None:
        where = self._place.within(path, source, 1, 1, f"node {node.id!r}: {message}")
        self._found.warnings.append(replace(where, severity="warning"))


def _output_fields(nodes: Mapping[int, BaseNode], resources: Resources) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the fields an output can have, for the nodes (and the input) where there can be no others."""
    schema = resources.input_schema
    closed = closed_properties(schema.schema) if schema else None
    if closed is not None:
        yield INPUT, closed
    for node in nodes.values():
        if node.for_each is not None:
            yield node.id, FOR_EACH_FIELDS
            continue
        if isinstance(node, RouterNode):
            yield node.id, ROUTER_FIELDS
        closed = closed_properties(resources.schemas[node.id].schema) if node.id in resources.schemas else None
        if closed is not None:
            yield node.id, closed


def _always_false(condition: Condition) -> bool:
    if condition.references:
        return False
    try:
        return not condition.evaluate({})
    except ExpressionError:
        return False
