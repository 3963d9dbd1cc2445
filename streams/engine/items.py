"""Where the rows of nodes and of their items are, and what an item's attempt sees: one place for launcher, processor and test driver."""

from __future__ import annotations

from functools import cached_property, lru_cache, partial

from schemas.records import NodeRow
from streams.core import items
from streams.core.compiled import CompiledNode, CompiledWorkflow
from streams.core.left_out import LeftOut
from streams.core.versions import Versions
from streams.engine.tables import Tables
from topology.items import base_of, index_of, item_id, item_key
from topology.plan import NodePlan, WorkflowPlan

REMEMBERED = 4_096
"""Items whose plans are kept: made from their node's at little cost."""


class Rows:
    """The rows of nodes and items by the id that attempts are known by: `node`, or `node[index]`."""

    def __init__(self, plan: WorkflowPlan, tables: Tables, versions: Versions | None = None) -> None:
        self._versions = versions
        self._plans = {node.id: node for node in plan.nodes}
        self._of_table = {node.table: node.id for node in plan.nodes}
        self._items = {node.for_each.table: node.id for node in plan.nodes if node.for_each}
        self._tables = tables
        self._left_out = LeftOut(plan)
        self._table_of = {node.id: node.table for node in plan.nodes}
        self.plan_of = lru_cache(REMEMBERED)(self._plan_of)

    @cached_property
    def tables(self) -> frozenset[str]:
        """Return every table that has rows of attempts."""
        return frozenset({*self._of_table, *self._items})

    def id_at(self, table: str, key: str) -> str:
        """Return the id of the node or item whose row stands at `key`."""
        base = self._items.get(table)
        return self._of_table[table] if base is None else item_id(base, int(key.rpartition("/")[2]))

    def place_of(self, node: str, run_id: str) -> tuple[str, str]:
        """Return table and key of a node's or item's row."""
        index = index_of(node)
        plan = self._plans[base_of(node)]
        if index is None or plan.for_each is None:
            return plan.table, run_id
        return plan.for_each.table, item_key(run_id, index)

    def get(self, node: str, partition: int, run_id: str) -> NodeRow | None:
        """Return the row of a node or item."""
        table, key = self.place_of(node, run_id)
        row = self._tables.get(table, partition, key)
        return row if isinstance(row, NodeRow) else None

    def wanted(self, node: str, partition: int, row: NodeRow) -> bool:
        """Say whether an attempt still has anybody who waits for it: an item's parent may have ended."""
        if index_of(node) is None:
            return True
        parent = self.get(base_of(node), partition, row.run_id)
        return parent is not None and items.waits(parent, row.epoch)

    def seen(self, node: str, partition: int, row: NodeRow) -> NodeRow:
        """Return a row with all that its attempt sees."""
        if index_of(node) is None:
            return row
        parent = self.get(base_of(node), partition, row.run_id)
        return row if parent is None else items.seen_by(parent, row)

    def written(self, address: tuple[str, int, str], row: NodeRow) -> NodeRow:
        """Return a row as it is written: without what its sources' rows have, too."""
        table, partition, run_id = address
        node = self._of_table.get(table)
        if node not in self._left_out.nodes:
            return row
        return self._left_out.written(node, row, partial(self.of_node, partition, run_id))

    def fill_in(self, partition: int) -> None:
        """Fill in, in the rows of a partition that was restored, what was left out of them."""
        for table, node in self._of_table.items():
            for run_id, row in list(self._tables.rows(table, partition)):
                if isinstance(row, NodeRow):
                    whole = self._left_out.whole(node, row, partial(self.of_node, partition, run_id))
                    if whole is not row:
                        self._tables.put(table, partition, run_id, whole)

    def of_node(self, partition: int, run_id: str, node: str) -> NodeRow | None:
        """Return the row of a node, as `get` does; asked some forty times a run, so it knows of no items and checks nothing."""
        table = self._table_of.get(node)
        return None if table is None else self._tables.get(table, partition, run_id)  # type: ignore[return-value]

    def _plan_of(self, node: str, plan_hash: str | None = None) -> NodePlan:
        """Return the plan of a node or item, as the version of that hash has it."""
        base, index = self._plans[base_of(node)], index_of(node)
        if plan_hash is not None and self._versions is not None:
            base = self._versions.node(plan_hash, base.id).plan
        return base if index is None else items.plan_of_item(base, index)


class CompiledItems:
    """The items of a workflow as nodes."""

    def __init__(self, workflow: CompiledWorkflow) -> None:
        self._nodes = workflow.nodes
        self.of = lru_cache(REMEMBERED)(self._of)

    def _of(self, node: str, plan_hash: str | None = None) -> CompiledNode:
        """Return a node, or an item of one, as the version of that hash has it."""
        index = index_of(node)
        base = self._nodes[base_of(node)].at(plan_hash)
        return base if index is None else items.item_of(base, index)
