"""(a): a run has one result, or a reason why not yet."""

from __future__ import annotations

from schemas.records import NodeRow, TimerRow
from streams.audit.checks.compare import text
from streams.audit.evidence import Evidence
from streams.audit.layout import Layout
from streams.audit.runs import RunStory
from topology.naming import RUN_TABLE, TIMERS_TABLE, changelog_topic, node_table


def check_runs(evidence: Evidence) -> None:
    """Check that every run has one result, or a reason why not yet."""
    whole = not evidence.cut_short("output")
    timers = {
        _timer(held.row) for held in evidence.table(changelog_topic(evidence.layout.workflow, TIMERS_TABLE)).values()
    }
    tables = {node: evidence.table(_changelog(evidence.layout, node)) for node in evidence.layout.nodes}
    for run in evidence.judged_runs():
        _check_results(evidence, run)
        if run.start is None:
            _check_not_started(evidence, run)
        elif whole and all(result.epoch != run.epoch for result in run.results):
            rows = {node: held.row for node, table in tables.items() if (held := table.get(run.run_id))}
            _check_waiting(evidence, run, {n: row for n, row in rows.items() if isinstance(row, NodeRow)}, timers)
    _count_runs(evidence)


def _check_results(evidence: Evidence, run: RunStory) -> None:
    for epoch in {repr(result.epoch) for result in run.results}:
        first, *more = [result for result in run.results if repr(result.epoch) == epoch]
        evidence.findings.figures.repeated_results += len(more)
        for result in more:
            if (result.ce_id, result.digest) != (first.ce_id, first.digest):
                message = f"run {run.run_id!r}: not the result of {text(first.at)}"
                evidence.findings.add("a.result-differs", result.at, message)


def _check_not_started(evidence: Evidence, run: RunStory) -> None:
    """A cancel may come before the start; anything else may not."""
    for result in run.results:
        evidence.findings.add("a.without-start", result.at, f"run {run.run_id!r} never started")
    for (node, _), story in run.nodes.items():
        at = story.begun or (story.at if story.standing.status != "cancelled" else None)
        if at is not None and evidence.consumed(at):
            message = f"run {run.run_id!r} never started, node {node!r} is {story.standing.status}"
            evidence.findings.add("a.without-start", at, message)


def _check_waiting(
    evidence: Evidence, run: RunStory, rows: dict[str, NodeRow], timers: set[tuple[str, str, int, int] | None]
) -> None:
    """Find what a run without a result waits for."""
    figures = evidence.findings.figures
    waits = any(r.status == "waiting" and (run.run_id, n, r.epoch, r.seq) in timers for n, r in rows.items())
    open_nodes = [node for node in evidence.layout.nodes if run.node(node, run.epoch).winner is None]
    if run.unsettled:
        figures.waiting_unread += 1
    elif any(row.status == "running" and node in open_nodes for node, row in rows.items()):
        figures.waiting_running += 1
    elif open_nodes and waits:
        figures.waiting_retry += 1
    elif run.start is not None:
        stand = ", ".join(f"{node} {run.node(node, run.epoch).standing.status}" for node in evidence.layout.nodes)
        evidence.findings.add(
            "a.run-lost", run.start.at, f"run {run.run_id!r} has no result and waits for nothing: {stand}"
        )


def _count_runs(evidence: Evidence) -> None:
    figures = evidence.findings.figures
    runs = evidence.runs.values()
    figures.runs = sum(bool(run.starts) for run in runs)
    figures.results = sum(len({repr(result.epoch) for result in run.results}) for run in runs)
    figures.waiting = figures.waiting_unread + figures.waiting_running + figures.waiting_retry
    figures.unsettled = sum(run.unsettled for run in runs)
    figures.not_judged = sum(not run.judged for run in runs)
    held = evidence.table(changelog_topic(evidence.layout.workflow, RUN_TABLE)).values()
    figures.retired = sum(getattr(one.row, "retired", False) for one in held)


def _timer(row: object) -> tuple[str, str, int, int] | None:
    return (row.run_id, row.node, row.epoch, row.seq) if isinstance(row, TimerRow) else None


def _changelog(layout: Layout, node: str) -> str:
    return changelog_topic(layout.workflow, node_table(node))
