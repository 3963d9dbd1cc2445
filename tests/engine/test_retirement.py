"""State of finished runs goes after `state_retention`, all of it (PROTOCOL.md 12)."""

from __future__ import annotations

from dataclasses import replace

from schemas.records import NodeOutcome, NodeRow, Position, RunRow
from streams.engine.retirement import Retirement
from streams.engine.tables import Tables
from tests.core.examples import RUN
from tests.plans import plan_of

PLAN = plan_of({"a": (), "b": ("a",)}, state_retention_ms=1000)
FINISHED = RunRow(RUN, "success", input_hash="h", finished_at=5000, nodes={"a": NodeOutcome("success")})
RETIRED = replace(FINISHED, nodes={}, retired=True)


def tables_of(run: RunRow, *nodes: str) -> Tables:
    tables = Tables()
    tables.put("run", 1, RUN, run)
    for node in nodes:
        tables.put(node, 1, RUN, NodeRow(RUN, "success"))
    return tables


def loaded(tables: Tables) -> Retirement:
    retirement = Retirement(PLAN, tables)
    retirement.load(1)
    return retirement


def test_a_run_is_retired_once_its_time_has_come() -> None:
    retirement = loaded(tables_of(FINISHED, "a", "b"))
    assert retirement.due(5999) == {}
    assert retirement.due(6000) == {("run", 1, RUN): RETIRED, ("a", 1, RUN): None, ("b", 1, RUN): None}
    assert retirement.due(9999) == {}


def test_a_run_that_goes_on_is_not() -> None:
    assert loaded(tables_of(RunRow(RUN), "a")).due(10**15) == {}


def test_what_a_repeat_needs_stays() -> None:
    row = loaded(tables_of(FINISHED)).due(6000)["run", 1, RUN]
    assert isinstance(row, RunRow)
    assert (row.input_hash, row.status, row.epoch) == ("h", "success", 0)


def test_a_crash_between_the_run_s_row_and_its_nodes_leaves_none_behind() -> None:
    """Of one batch's rows any subset may be acknowledged: the run's may be retired while a node's is still there."""
    found = loaded(tables_of(RETIRED, "a", "b")).due(6000)
    assert found == {("a", 1, RUN): None, ("b", 1, RUN): None}


def test_what_a_repeat_needs_goes_with_the_input() -> None:
    retired = replace(RETIRED, source=Position("wf.input", 3, 7))
    retirement = loaded(tables_of(retired))
    assert retirement.due(10**15) == {}
    retirement.inputs_begin({3: 7, 2: 99})
    assert retirement.due(10**15) == {}, "the input is still the topic's first"
    retirement.inputs_begin({3: 8})
    assert retirement.due(10**15) == {("run", 1, RUN): None}
    assert retirement.due(10**15) == {}


def test_a_partition_that_goes_takes_its_retired_runs_along() -> None:
    retirement = loaded(tables_of(replace(RETIRED, source=Position("wf.input", 3, 7))))
    retirement.drop(1)
    retirement.inputs_begin({3: 8})
    assert retirement.due(10**15) == {}
