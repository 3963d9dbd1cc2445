"""Background nodes: the run's result is written without them, so nothing of it may wait for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from topology.parse import NODES, Finding
from topology.spec import BaseNode


def check_background(nodes: Mapping[int, BaseNode], names: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    """Find nodes of the result that wait for, or read, background nodes, and workflows that are nothing but background."""
    behind = {node.id for node in nodes.values() if node.background}
    for index, node in nodes.items():
        for above in sorted({*node.dependencies, *names.get(node.id, ())} & behind) if not node.background else ():
            message = (
                f"node {node.id!r}: {above!r} is a background node, so {node.id!r} must be one, too (background: true)"
            )
            yield Finding((*NODES, index, "id"), message)
    if nodes and len(behind) == len(nodes):
        first = min(nodes)
        yield Finding((*NODES, first, "background"), "every node is a background node: there would be no result", "key")
