"""The auditor of tests: every row equals the fold of the journals, by a fold that shares no code with the engine."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.codec import decode
from schemas.records import STATUS_OF, TERMINAL, NodeOutcome, NodeRow, RunRow, Started, Succeeded, Terminal
from streams.testing import PARTITIONS, TopologyTestDriver


def first_terminals(driver: TopologyTestDriver) -> dict[tuple[str, str, int], Terminal]:
    """Return the record that won for each (node, run, epoch)."""
    won: dict[tuple[str, str, int], Terminal] = {}
    for node in driver.plan.nodes:
        for record in _records(driver, node.topic):
            if isinstance(record, TERMINAL):
                won.setdefault((node.id, record.run_id, record.epoch), record)
    return won


def audit(driver: TopologyTestDriver) -> None:
    """Check that rows, outcomes and results agree with the journals, for every run that was started."""
    won = first_terminals(driver)
    started = {r.run_id for r in _records(driver, driver.plan.topic("run")) if isinstance(r, Started)}
    runs = driver.table("run")
    for node in driver.plan.nodes:
        rows = driver.table(node.table)
        for run_id in started:
            row = rows[run_id]
            assert isinstance(row, NodeRow)
            _check(won.get((node.id, run_id, row.epoch)), row, runs[run_id], node.id)


def _check(first: Terminal | None, row: NodeRow, run: object, node: str) -> None:
    assert isinstance(run, RunRow)
    assert row.ahead == run.ahead == (), "nothing waits for an epoch that is open"
    outcome = run.nodes.get(node, NodeOutcome())
    if first is None:
        assert row.status in ("pending", "running", "waiting")
        assert run.status == "running"
        return
    assert row.status == outcome.status == STATUS_OF[type(first)]
    assert not row.closing
    assert row.incarnation is None
    assert row.output == (first.output if isinstance(first, Succeeded) else None)
    assert row.finished_at == outcome.finished_at == first.finished_at
    assert row.epoch == outcome.epoch
    if row.epoch == 0:
        assert row.spent == outcome.spent


def _records(driver: TopologyTestDriver, topic: str) -> Iterator[object]:
    for partition in range(PARTITIONS):
        for record in driver.log.topics[topic][partition]:
            assert record.value is not None
            yield decode(record.value)
