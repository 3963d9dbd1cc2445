"""The graph of dependencies: what is wrong with it, its order, who is above whom. It works on ids alone, so one bad node hides no other error."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from topology.diagnostics import suggestion
from topology.naming import RESERVED_NODE_IDS
from topology.parse import NODES, Finding
from topology.plan import Join
from topology.yaml_tree import DocPath

LITERALS = frozenset({"true", "false", "none", "null", "self"})
"""Ids that mean something else in a template or a condition, so that nothing could name the node."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A node as far as the graph goes: its place in the file, its id, what it depends on."""

    index: int
    id: str
    dependencies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in topological order (that of the file where there is a choice), with everything above each.

    Nodes on a cycle, or below one, are in `ancestors` but not in `order`.
    """

    order: tuple[str, ...]
    dependencies: Mapping[str, tuple[str, ...]]
    ancestors: Mapping[str, frozenset[str]]
    indexes: Mapping[str, int]

    @property
    def sinks(self) -> tuple[str, ...]:
        """The nodes nothing depends on, in order: their outputs are the run's."""
        needed = {above for dependencies in self.dependencies.values() for above in dependencies}
        return tuple(node for node in self.order if node not in needed)

    def in_order(self, nodes: Iterable[str]) -> tuple[str, ...]:
        """Return `nodes` in topological order."""
        wanted = set(nodes)
        return tuple(node for node in self.order if node in wanted)


def shapes_of(raw_nodes: Sequence[object]) -> list[Shape]:
    """Return the shapes of all nodes that have an id, however wrong the rest of them is."""
    shapes = []
    for index, node in enumerate(raw_nodes):
        if isinstance(node, dict) and isinstance(node.get("id"), str):
            listed = node.get("dependencies")
            named = listed if isinstance(listed, list) else []
            shapes.append(Shape(index, node["id"], tuple(name if isinstance(name, str) else "" for name in named)))
    return shapes


def build_graph(shapes: Sequence[Shape]) -> tuple[Graph, tuple[Finding, ...]]:
    """Return the graph of what is right, and what is wrong."""
    findings = list(_ids(shapes))
    first = {shape.id: shape for shape in reversed(shapes)}
    broken = {
        shape.id: "a dependency that does not exist" for shape in first.values() if set(shape.dependencies) - set(first)
    }
    findings += [finding for shape in shapes for finding in _dependencies(shape, first)]
    edges = {shape.id: _known(shape, first) for shape in sorted(first.values(), key=lambda shape: shape.index)}
    indexes = {node: first[node].index for node in edges}
    order = _topological(edges, indexes)
    for cycle in _cycles({node: edges[node] for node in edges if node not in set(order)}):
        findings.append(_cycle_finding(cycle, first))
        broken |= dict.fromkeys(cycle, "a cycle")
    graph = Graph(order, edges, _ancestors(edges, order), indexes)
    findings += never_run(graph, broken, {})
    return graph, tuple(findings)


def never_run(graph: Graph, broken: Mapping[str, str], joins: Mapping[str, Join]) -> list[Finding]:
    """Return one finding for each node below a broken one; `broken` maps those, reported elsewhere, to what is wrong.

    With `joins` a node survives as its join allows; without, anything broken above is too much.
    """
    dead = dict(broken)
    findings: list[Finding] = []
    ordered = [*graph.order, *sorted(set(graph.dependencies) - set(graph.order), key=graph.indexes.__getitem__)]
    found = -1
    while found < len(findings):  # again while it finds any: nodes below a cycle have no topological order of their own
        found = len(findings)
        for node in ordered:
            dependencies = graph.dependencies[node]
            down = [above for above in dependencies if above in dead]
            if node in dead or not _dies(joins.get(node) if joins else "all_success", down, dependencies):
                continue
            dead[node] = dead[down[0]]
            path = (*NODES, graph.indexes[node], "dependencies", dependencies.index(down[0]))
            findings.append(Finding(path, f"node {node!r} can never run: it depends on {down[0]!r} ({dead[node]})"))
    return findings


def _dies(join: Join | None, down: Sequence[str], dependencies: Sequence[str]) -> bool:
    if not down or join == "all_done":
        return False
    return len(down) == len(dependencies) if join == "any_success" else True


def _ids(shapes: Sequence[Shape]) -> Iterator[Finding]:
    seen: dict[str, Shape] = {}
    for shape in shapes:
        path = (*NODES, shape.index, "id")
        if shape.id in seen:
            yield Finding(path, f"duplicate node id {shape.id!r}: it is also that of node {seen[shape.id].index + 1}")
        seen.setdefault(shape.id, shape)
        if shape.id in RESERVED_NODE_IDS:
            yield Finding(
                path, f"node id {shape.id!r} is taken: it is the name of one of the workflow's own topics or tables"
            )
        elif shape.id in LITERALS:
            yield Finding(path, f"node id {shape.id!r} is taken: no template or condition could name it")


def _dependencies(shape: Shape, first: Mapping[str, Shape]) -> Iterator[Finding]:
    for position, name in enumerate(shape.dependencies):
        path: DocPath = (*NODES, shape.index, "dependencies", position)
        if name == shape.id:
            yield Finding(path, f"node {shape.id!r} depends on itself")
        elif name in shape.dependencies[:position]:
            yield Finding(path, f"node {shape.id!r}: dependency {name!r} is listed twice")
        elif name and name not in first:
            yield Finding(path, f"node {shape.id!r}: unknown dependency {name[:80]!r}{suggestion(name, first)}")


def _known(shape: Shape, first: Mapping[str, Shape]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in shape.dependencies if name in first and name != shape.id))


def _topological(edges: Mapping[str, tuple[str, ...]], indexes: Mapping[str, int]) -> tuple[str, ...]:
    below = _below(edges)
    missing = {node: len(above) for node, above in edges.items()}
    ready = [(indexes[node], node) for node, count in missing.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        _, node = heapq.heappop(ready)
        order.append(node)
        for lower in below[node]:
            missing[lower] -= 1
            if not missing[lower]:
                heapq.heappush(ready, (indexes[lower], lower))
    return tuple(order)


def _below(edges: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    below: dict[str, list[str]] = {node: [] for node in edges}
    for node, dependencies in edges.items():
        for above in dependencies:
            below[above].append(node)
    return below


def _cycles(edges: Mapping[str, tuple[str, ...]]) -> Iterator[list[str]]:
    """Yield one shortest cycle of each knot, beginning at its first node in the file."""
    reported: set[str] = set()
    for node in edges:
        reachable = _reachable(node, edges)
        if node in reported or node not in reachable:
            continue
        knot = {other for other in reachable if node in _reachable(other, edges)}
        reported |= knot
        yield _shortest_way_back(node, edges)


def _reachable(start: str, edges: Mapping[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    pending = [start]
    while pending:
        for above in edges.get(pending.pop(), ()):
            if above not in found:
                found.add(above)
                pending.append(above)
    return found


def _shortest_way_back(start: str, edges: Mapping[str, tuple[str, ...]]) -> list[str]:
    came_from: dict[str, str] = {}
    pending = [start]
    for node in pending:  # grows while it is walked: breadth first
        for above in edges.get(node, ()):
            if above == start:
                way = [node]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if above not in came_from:
                came_from[above] = node
                pending.append(above)
    return [start]


def _cycle_finding(cycle: Sequence[str], first: Mapping[str, Shape]) -> Finding:
    shape = first[cycle[0]]
    position = shape.dependencies.index(cycle[1])
    path = (*NODES, shape.index, "dependencies", position)
    return Finding(path, f"the dependencies go round in a circle: {' -> '.join([*cycle, cycle[0]])}")


def _ancestors(edges: Mapping[str, tuple[str, ...]], order: Sequence[str]) -> dict[str, frozenset[str]]:
    ancestors: dict[str, frozenset[str]] = {}
    for node in order:
        above = edges[node]
        ancestors[node] = frozenset(above).union(*(ancestors[dependency] for dependency in above))
    for node in edges:
        if node not in ancestors:
            ancestors[node] = frozenset(_reachable(node, edges) - {node})
    return ancestors
