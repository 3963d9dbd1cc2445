"""(c): a timer's row stands for an attempt that waits, and an attempt that waits has one."""

from __future__ import annotations

from schemas.records import NodeRow, TimerRow
from streams.audit.evidence import Evidence
from streams.audit.runs import RunStory
from streams.audit.tables import Held
from topology.naming import TIMERS_TABLE, changelog_topic, node_table

DEADLINE = "deadline"
RETRY = "retry"
REVIEW = "review"
LEASE = "lease"


def check_timers(evidence: Evidence) -> None:
    """Check both ways."""
    name = changelog_topic(evidence.layout.workflow, TIMERS_TABLE)
    timers = evidence.table(name)
    evidence.findings.figures.timers = len(timers)
    waiting = set()
    for key, held in timers.items():
        if isinstance(held.row, TimerRow):
            _check_timer(evidence, key, held, held.row)
            if held.row.kind in (RETRY, REVIEW):
                waiting.add((held.row.run_id, held.row.node, held.row.epoch, held.row.seq))
        else:
            evidence.findings.add("c.timer-left", held.at, f"key {key!r} is no timer")
    for node in evidence.layout.nodes:
        rows = evidence.table(changelog_topic(evidence.layout.workflow, node_table(node)))
        for run in evidence.settled_runs():
            _check_woken(evidence, node, run, rows.get(run.run_id), waiting)


def _check_timer(evidence: Evidence, key: str, held: Held, row: TimerRow) -> None:
    if row.kind == LEASE:
        return  # of a router's decision, not of a run
    run = evidence.runs.get(row.run_id)
    if key != f"{row.run_id}/{row.node}/{row.epoch}/{row.seq}/{row.kind}":
        evidence.findings.add("c.timer-left", held.at, f"the key {key!r} is not the timer's")
    if run is None:
        evidence.findings.add("c.timer-left", held.at, f"no journal knows a run {row.run_id!r}")
    elif run.judged and not run.unsettled and (problem := _problem(evidence, run, row)):
        evidence.findings.add(
            "c.timer-left", held.at, f"run {row.run_id!r}, node {row.node!r}, seq {row.seq}: {problem}"
        )


def _problem(evidence: Evidence, run: RunStory, row: TimerRow) -> str | None:
    """Say why nobody needs the timer. The node may have ended meanwhile: then it goes when it is due, and changes nothing."""
    if row.kind == DEADLINE:
        return "the run has ended" if run.finish(row.epoch) is not None else None
    story = run.node(row.node, row.epoch)
    if row.kind == RETRY and story.due >= row.seq:
        return "its wait is over"
    known = (row.run_id, row.node, row.epoch, row.seq, row.kind) in evidence.scheduled
    if not known and not evidence.cut_short("retry"):
        return "no retry was scheduled"
    if row.kind != RETRY:
        return None  # an alarm: it goes when it is due, needed or not
    if story.winner is None and story.last.seq != row.seq:
        return f"the node's last attempt is seq {story.last.seq}"
    return None


def _check_woken(
    evidence: Evidence, node: str, run: RunStory, held: Held | None, waiting: set[tuple[str, str, int, int]]
) -> None:
    row = held.row if held else None
    if (
        held is None
        or not isinstance(row, NodeRow)
        or row.status != "waiting"
        or row.lease == "asked"  # it waits for another run
        or row.items is not None  # for its items
        or run.node(node, row.epoch).winner is not None
    ):
        return
    if (run.run_id, node, row.epoch, row.seq) not in waiting:
        evidence.findings.add(
            "c.timer-missing", held.at, f"run {run.run_id!r}: seq {row.seq} waits, and no timer is set"
        )
