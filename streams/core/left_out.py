"""What a node's row need not repeat: an output that stands in its source's row, of the same run and in the same partition.

Rows are decided on whole and written without it; `Gathered.in_source` says so. A reader fills it in from the source's row. After a
crash that row may not be there yet: then the record that made it comes again (its offset was not committed), and is filled in
from. Till then nothing is decided on the row: its own records wait (`node_agent._is_ahead`).

When a further epoch opens, a source's row may lose its output. All rows of the run change then, and are written whole from there
on; those that hold the opening till their node has ended go before the others (`Effects.first`).
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.quick import replace
from schemas.records import Gathered, Json, NodeRow
from streams.core.ahead import is_partial
from streams.core.waiting import RowOf, input_keeper
from topology.plan import INPUT, WorkflowPlan

_LEFT_OUT = Gathered("success", in_source=True)


def whole_run(rows: Mapping[str, NodeRow]) -> dict[str, NodeRow]:
    """Return the rows of a run's nodes, read without the workflow's plan, with what was left out of them."""
    keeper = next(
        (node for node, row in rows.items() if INPUT in row.gathered and not row.gathered[INPUT].in_source), None
    )
    return {node: _whole(node, row, rows.get, keeper) for node, row in rows.items()}


class LeftOut:
    """What may be left out of the rows of a workflow's nodes, and is filled in again."""

    def __init__(self, plan: WorkflowPlan) -> None:
        self._keeper = input_keeper(plan)
        # Items see their node's row, and reviews are decided by people at any time: theirs are whole.
        self.nodes = frozenset(n.id for n in plan.nodes if n.sources and n.for_each is None and n.kind != "review")

    def written(self, node: str, row: NodeRow, row_of: RowOf) -> NodeRow:
        """Return the row of one of `nodes` as it is written."""
        if row.opened or row.ahead:
            return row
        short: dict[str, Gathered] = {}
        for name, got in row.gathered.items():
            if got.output is not None and _found(node, name, row_of, self._keeper) == got.output:
                short[name] = _LEFT_OUT if got.made_by is None else replace(got, output=None, in_source=True)
        return replace(row, gathered={**row.gathered, **short}) if short else row

    def whole(self, node: str, row: NodeRow, row_of: RowOf) -> NodeRow:
        """Return a row that was read with what stands in the rows of its sources, as far as they are there."""
        return _whole(node, row, row_of, self._keeper)


def _whole(node: str, row: NodeRow, row_of: RowOf, keeper: str | None) -> NodeRow:
    if not is_partial(row):
        return row
    gathered = {name: _filled(node, name, got, row_of, keeper) for name, got in row.gathered.items()}
    return replace(row, gathered=gathered)


def _filled(node: str, name: str, got: Gathered, row_of: RowOf, keeper: str | None) -> Gathered:
    output = _found(node, name, row_of, keeper) if got.in_source else None
    return got if output is None else replace(got, output=output, in_source=False)


def _found(node: str, name: str, row_of: RowOf, keeper: str | None) -> Json | None:
    """Return what stands elsewhere of a node's source, as of the first epoch; `keeper` is the node that keeps the input."""
    source = keeper if name == INPUT else name
    row = None if source is None or source == node else row_of(source)
    if row is None:
        return None
    if name != INPUT:
        return row.output if row.status == "success" and row.epoch == 0 else None
    return row.gathered[INPUT].output if INPUT in row.gathered else None
