"""Which types of record stand in which topic of a workflow: what its subject in a schema registry is made of, and its contract."""

from __future__ import annotations

from typing import get_args

from schemas import records
from topology.naming import LEDGER_TABLE, RUN_TABLE, TIMERS_TABLE, is_leases_table
from topology.plan import TopicPurpose, WorkflowPlan


def _names(*kinds: type) -> tuple[str, ...]:
    return tuple(kind.__name__ for kind in kinds)


RUN = _names(*get_args(records.RunRecord))
JOURNAL = _names(*get_args(records.NodeRecord))
LEASES = _names(*get_args(records.LeaseRecord))

BY_PURPOSE: dict[TopicPurpose, tuple[str, ...]] = {
    "run": RUN,
    "journal": JOURNAL,
    "retry": _names(records.RetryScheduled),
    "routes": LEASES,
    "effects": LEASES,
}
"""The topics whose values are records of ours; the others hold what anybody may write, or read, without our schemas."""


def records_of(plan: WorkflowPlan) -> dict[str, tuple[str, ...]]:
    """Return the types of record by topic, changelogs too, in the order of the plan."""
    found = {topic.name: BY_PURPOSE[topic.purpose] for topic in plan.topics if topic.purpose in BY_PURPOSE}
    rows = _rows(plan)
    return found | {table.changelog: (*rows[table.name], *_names(records.OwnerMarker)) for table in plan.tables}


def _rows(plan: WorkflowPlan) -> dict[str, tuple[str, ...]]:
    """Return the types of row by table; by its name, for the node may be one that only another version has."""
    nodes, leases = _names(records.NodeRow), _names(records.LeaseRow, records.WaiterRow)
    return {table.name: leases if is_leases_table(table.name) else nodes for table in plan.tables} | {
        RUN_TABLE: _names(records.RunRow),
        TIMERS_TABLE: _names(records.TimerRow),
        LEDGER_TABLE: _names(records.LedgerRow, records.DayRow),
    }
