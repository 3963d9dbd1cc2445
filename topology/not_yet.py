"""What a workflow file may say already though nothing acts on it yet: `check` warns of it, `run` and `worker` refuse it by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from topology.parse import NODES, Finding
from topology.spec import BaseNode

KINDS_NOT_YET: tuple[str, ...] = ()
"""Take a kind out when it runs."""

_ALWAYS: Callable[[object], bool] = lambda value: True  # noqa: E731
_WHEN_TRUE: Callable[[object], bool] = bool

NODE_KEYS_NOT_YET: Mapping[str, Callable[[object], bool]] = {
    "for_each": _ALWAYS,
    "max_items": _ALWAYS,
    "on_item_error": _ALWAYS,
    "stream": _WHEN_TRUE,
    "background": _WHEN_TRUE,
}
"""Keys of llm and function nodes, and which of their values ask for something: `stream: false` asks for nothing."""


def not_yet(nodes: Mapping[int, BaseNode]) -> Iterator[tuple[str, Finding]]:
    """Yield (name, finding) for everything used that is not in effect."""
    for index, node in nodes.items():
        kind = str(getattr(node, "type", ""))
        if kind in KINDS_NOT_YET:
            yield kind, Finding((*NODES, index, "type"), f"not in effect yet: {kind}")
            continue  # its keys are part of it
        for key, asks in NODE_KEYS_NOT_YET.items():
            value = getattr(node, key, None)
            if key in node.model_fields_set and asks(value):
                said = f"{key}: {value}" if key == "on_low_confidence" else key  # its other values are in effect
                yield said, Finding((*NODES, index, key), f"not in effect yet: {said}", "key")
