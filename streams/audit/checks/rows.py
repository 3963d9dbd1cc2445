"""(c): every table row equals the fold of the journals, for its owner and for anybody who reads the compacted topic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.records import TERMINAL_STATUSES, NodeRow, RunRow
from streams.audit.checks.compare import differing, same_error, same_spent
from streams.audit.evidence import Evidence
from streams.audit.runs import RunStory
from streams.audit.story import NodeStory
from streams.audit.tables import Held
from topology.naming import RUN_TABLE, changelog_topic, node_table

Difference = tuple[str, Any, Any]
"""A field, what the row says, what the journals say."""


def check_rows(evidence: Evidence) -> None:
    """Check the run table and every node's."""
    for changelog in evidence.changelogs():
        for key, at in changelog.disagreements():
            evidence.findings.add("c.zombie-row", at, f"key {key!r}: a former owner's row, not put right yet")
    name = changelog_topic(evidence.layout.workflow, RUN_TABLE)
    runs = evidence.table(name)
    _check_table(evidence, name, None, runs, runs)
    for node in evidence.layout.nodes:
        name = changelog_topic(evidence.layout.workflow, node_table(node))
        _check_table(evidence, name, node, evidence.table(name), runs)


def _check_table(
    evidence: Evidence, topic: str, node: str | None, table: dict[str, Held], runs: dict[str, Held]
) -> None:
    for key, held in table.items():
        if key not in evidence.runs:
            evidence.findings.add("c.row-unfounded", held.at, f"no journal knows a run {key!r}")
    for run in evidence.settled_runs():
        found = table.get(run.run_id)
        if node is not None and _is_retired(runs.get(run.run_id)):
            if found is not None:
                evidence.findings.add("c.row-unfounded", found.at, f"run {run.run_id!r} is retired")
        elif found is None:
            _check_absent(evidence, topic, node, run)
        else:
            _check_row(evidence, node, run, found)


def _check_absent(evidence: Evidence, topic: str, node: str | None, run: RunStory) -> None:
    if _is_forgotten(evidence, run) or (node is not None and _waits(evidence, node, run)):
        return
    if run.start is not None or (node is not None and run.node(node).winner is not None):
        evidence.findings.at_partition("c.row-missing", topic, run.partition, f"run {run.run_id!r} has no row")


def _is_forgotten(evidence: Evidence, run: RunStory) -> bool:
    """Say whether nothing of a run need be left: it has finished, and retention has taken its input."""
    if run.start is None or not run.finish(run.epoch):
        return False
    source = run.start.source
    return source.offset < evidence.extent_of(source.topic, source.partition).begin


def _waits(evidence: Evidence, node: str, run: RunStory) -> bool:
    """Say whether a node may still wait for others, for which it needs no row: its journal says nothing, and another one goes on."""
    if run.start is None or run.epoch > 0 or run.node(node).first is not None:
        return False
    return any(_goes_on(evidence, other, run) for other in evidence.layout.nodes if other != node)


def _goes_on(evidence: Evidence, node: str, run: RunStory) -> bool:
    row = _row_of(evidence, node, run)
    return row is not None and row.status not in TERMINAL_STATUSES


def _check_row(evidence: Evidence, node: str | None, run: RunStory, held: Held) -> None:
    row = held.row
    if node is None:
        wrong = differing(_run_differences(evidence, run, row)) if isinstance(row, RunRow) else "not a run's row"
        code = "c.run-row"
    else:
        wrong = differing(_of_node(evidence, node, run, row)) if isinstance(row, NodeRow) else "not a node's row"
        code = "c.node-row"
    if wrong:
        evidence.findings.add(code, held.at, f"run {run.run_id!r}: {wrong}")


def _is_retired(held: Held | None) -> bool:
    return held is not None and isinstance(held.row, RunRow) and held.row.retired


# ---- a run's row ----------------------------------------------------------------------------------------------------


def _run_differences(evidence: Evidence, run: RunStory, row: RunRow) -> Iterator[Difference]:
    start, finish = run.start, run.finish(run.epoch)
    finished = finish[0] if finish else None
    opened = max((record for record, _ in run.opened), key=lambda record: record.epoch, default=None)
    yield "run_id", row.run_id, run.run_id
    yield "status", row.status, finished.status if finished else "running"
    yield "finished_at", row.finished_at, finished.finished_at if finished else None
    yield "epoch", row.epoch, run.epoch
    yield "redrives", len(row.redrives), 0 if finished else len(row.redrives)
    yield "ahead", row.ahead, ()
    yield "source", row.source, start.source if start else None
    yield "started_at", row.started_at, start.started_at if start else None
    yield "input_hash", row.input_hash, start.input_hash if start else None
    yield "plan_hash", row.plan_hash, opened.plan_hash if opened else start.plan_hash if start else None
    version = opened.workflow_version if opened else start.version if start else None
    yield "workflow_version", row.workflow_version, version
    yield "traceparent", row.traceparent, start.traceparent if start else None
    if row.retired:
        yield "retired", True, finished is not None
        return
    for node in evidence.layout.nodes:
        for name, says, wanted in _outcome_differences(run, row, node):
            yield f"{node}.{name}", says, wanted


def _outcome_differences(run: RunStory, row: RunRow, node: str) -> Iterator[Difference]:
    now, outcome = run.standing(node, row.epoch), row.nodes.get(node)
    if outcome is None:
        yield "status", "pending", now.status
        yield "attempts", 0, now.attempts
        return
    yield "epoch", outcome.epoch, run.epoch_of(node, row.epoch)
    yield "status", outcome.status, now.status
    yield "attempts", outcome.attempts, now.attempts
    yield "model", outcome.model, now.model
    yield "started_at", outcome.started_at, now.started_at
    yield "finished_at", outcome.finished_at, now.finished_at
    yield "error", *same_error(outcome.error, now.error)
    yield "spent", *same_spent(outcome.spent, now.spent)
    if outcome.output is not None:  # sinks alone keep it
        yield "output", outcome.output, now.output


# ---- a node's row ---------------------------------------------------------------------------------------------------


def _node_differences(node: str, run: RunStory, row: NodeRow) -> Iterator[Difference]:
    story = run.node(node, row.epoch)
    yield "run_id", row.run_id, run.run_id
    yield "epoch", row.epoch, run.epoch_of(node, run.epoch)
    yield "opened", row.opened, run.epoch
    if row.plan_hash is not None:  # rows written before runs kept their version have none
        yield "plan_hash", row.plan_hash, run.version_in(row.epoch)
    yield "ahead", row.ahead, ()
    yield "started", row.started, run.start is not None
    yield "closing", row.closing, False
    yield "traceparent", row.traceparent, run.start.traceparent if run.start else None
    yield "finished_at", row.finished_at, story.standing.finished_at
    yield "output", row.output, story.standing.output
    yield "model", row.model, story.standing.model
    yield "spent", *same_spent(row.spent, story.standing.spent)
    yield from _end_differences(story, row) if story.winner else _progress_differences(story, row)
    yield from _gathered_differences(run, row)


def _end_differences(story: NodeStory, row: NodeRow) -> Iterator[Difference]:
    now = story.standing
    yield "status", row.status, now.status
    yield "incarnation", row.incarnation, None
    yield "seq", row.seq, max(row.seq, story.seq)
    if now.status in ("success", "failed"):
        yield "attempt", row.attempt, now.attempts
    if now.status == "failed":
        yield "last_error", *same_error(row.last_error, now.error)


def _progress_differences(story: NodeStory, row: NodeRow) -> Iterator[Difference]:
    """Compare a node that has not ended: it runs its next attempt, waits for it, or has none yet."""
    seq, attempt = story.last.seq, story.last.attempt
    runs = row.status == "running"
    if row.items is not None:
        yield "status", row.status, "waiting"
        return
    if story.asked is not None:
        yield "status", row.status, "waiting"
        yield "seq", row.seq, story.asked
        return
    if not story.tried:
        idle = ("pending", "running", "waiting") if row.lease == "asked" else ("pending", "running")
        yield "status", row.status, row.status if row.status in idle else "pending or running"
    else:
        yield "status", row.status, "running" if story.due >= seq else "waiting"
        if story.standing.error is not None:
            yield "last_error", *same_error(row.last_error, story.standing.error)
    yield "seq", row.seq, seq + runs
    yield "attempt", row.attempt, attempt + runs


def _of_node(evidence: Evidence, node: str, run: RunStory, row: NodeRow) -> Iterator[Difference]:
    yield from _node_differences(node, run, row)
    for name, got in row.gathered.items():
        if got.in_source and not _stands(evidence, name, run):
            yield f"gathered.{name}", "in the row of its source", "not there"


def _stands(evidence: Evidence, source: str, run: RunStory) -> bool:
    """Say whether a row has what another one leaves out: a source's its output, any node's the input."""
    keepers = [node for node in evidence.layout.nodes if source in ("input", node)]
    rows = [_row_of(evidence, node, run) for node in keepers]
    if source != "input":
        return any(row is not None and row.output is not None for row in rows)
    kept = (row.gathered.get("input") for row in rows if row is not None)
    return any(got is not None and got.output is not None for got in kept)


def _row_of(evidence: Evidence, node: str, run: RunStory) -> NodeRow | None:
    held = evidence.table(changelog_topic(evidence.layout.workflow, node_table(node))).get(run.run_id)
    return held.row if held is not None and isinstance(held.row, NodeRow) else None


def _gathered_differences(run: RunStory, row: NodeRow) -> Iterator[Difference]:
    for name, got in row.gathered.items():
        if name == "input":
            if not got.in_source:
                yield "gathered.input", got.output, run.start.input if run.start else None
            continue
        now = run.node(name, row.opened).standing
        yield f"gathered.{name}.status", got.status, now.status
        if got.output is not None:
            yield f"gathered.{name}.output", got.output, now.output
