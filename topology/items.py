"""What the items of a `for_each` node are called: `id[index]`, in records, ids and timers alike."""

from __future__ import annotations

import re

_ITEM = re.compile(r"(?P<node>[a-z][a-z0-9_]*)\[(?P<index>0|[1-9]\d*)\]\Z")


def item_id(node: str, index: int) -> str:
    """Return the id of an item of `node`."""
    return f"{node}[{index}]"


def base_of(node: str) -> str:
    """Return the node that `node` is an item of, itself if it is none."""
    return node if node[-1:] != "]" else node.partition("[")[0]


def index_of(node: str) -> int | None:
    """Return an item's index, None for a node."""
    found = _ITEM.match(node) if node[-1:] == "]" else None
    return int(found["index"]) if found else None


def item_key(run_id: str, index: int) -> str:
    """Return the key of an item's row."""
    return f"{run_id}/{index}"
