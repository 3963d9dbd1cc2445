"""Whether every route of a router leads somewhere: a run that takes one nobody handles would end without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from topology.expressions import Condition, ExpressionError, compile_condition
from topology.graph import Graph
from topology.parse import NODES, Finding
from topology.plan import INPUT
from topology.spec import BaseNode, RouterNode


def check_routes(graph: Graph, nodes: Mapping[int, BaseNode]) -> Iterator[Finding]:
    """Find routes that no node downstream is for, of routers without a `default_route`."""
    names = frozenset({INPUT, *graph.dependencies})
    conditions = [(node, found) for node in nodes.values() if (found := _condition(node, names)) is not None]
    for index, router in nodes.items():
        if not isinstance(router, RouterNode) or router.default_route is not None:
            continue
        selecting = [found for node, found in conditions if router.id in found.references]
        below = [n for n in nodes.values() if router.id in n.dependencies and (n, router.id) not in _pairs(conditions)]
        if below or not selecting:
            continue  # somebody takes whatever it decides
        for route in router.routes:
            if not any(_may_take(condition, router.id, route) for condition in selecting):
                said = f'no node has when: {router.id}.route == "{route}", and there is no default_route'
                yield Finding((*NODES, index, "routes"), f"node {router.id!r}: route {route!r} leads nowhere: {said}")


def _pairs(conditions: list[tuple[BaseNode, Condition]]) -> list[tuple[BaseNode, str]]:
    return [(node, name) for node, condition in conditions for name in condition.references]


def _condition(node: BaseNode, names: frozenset[str]) -> Condition | None:
    if node.when is None:
        return None
    try:
        return compile_condition(node.when, names)
    except ExpressionError:
        return None  # reported where expressions are checked


def _may_take(condition: Condition, router: str, route: str) -> bool:
    """Say whether a condition can hold for a route; one that reads other nodes, too, can if it names the route."""
    if condition.references == {router}:
        try:
            return condition.evaluate({router: {"route": route, "confidence": 1.0, "by": "model"}})
        except ExpressionError:
            return False
    return f'"{route}"' in condition.source or f"'{route}'" in condition.source or "!=" in condition.source
