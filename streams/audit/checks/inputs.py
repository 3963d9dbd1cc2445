"""(a): every input is exactly once a run or a dead letter, and a run has a result or waits for something."""

from __future__ import annotations

from collections import defaultdict

from schemas.records import NodeRow, Position, TimerRow
from streams.audit.evidence import Evidence
from streams.audit.layout import Layout
from streams.audit.public import Cause, DeadLetter, Input
from streams.audit.story import RunStory, Start
from topology.naming import RUN_TABLE, TIMERS_TABLE, changelog_topic, node_table

CONFLICT = "run_id_conflict"


def check_inputs(evidence: Evidence) -> None:
    """Check each input against what came of it."""
    starts: defaultdict[Cause, list[tuple[RunStory, Start]]] = defaultdict(list)
    for run in evidence.runs.values():
        for start in run.starts:
            starts[_cause(start.source)].append((run, start))
    refused = refusals(evidence)
    for cause, one in evidence.inputs.items():
        _check_input(evidence, one, starts.get(cause, []), refused.get(cause, []))
    _check_sources(evidence, starts)
    evidence.findings.figures.inputs = len(evidence.inputs)


def check_commands(evidence: Evidence) -> None:
    """Check that every control record that was consumed became a command or a dead letter."""
    done = {_cause(source) for run in evidence.runs.values() for source in run.cancels} | refusals(evidence).keys()
    whole = not evidence.cut_short("run", "dead-letter")
    for cause, one in evidence.commands.items():
        if whole and evidence.consumed(one.at) and cause not in done:
            evidence.findings.add("a.command-lost", one.at, "neither a command nor a dead letter came of it")


def refusals(evidence: Evidence) -> dict[Cause, list[DeadLetter]]:
    """Return the dead letters of input and control records by their cause."""
    found: defaultdict[Cause, list[DeadLetter]] = defaultdict(list)
    for letter in evidence.dead_letters:
        if letter.cause is not None and evidence.layout.has(letter.cause[0], "input", "control"):
            found[letter.cause].append(letter)
    return found


def _check_input(
    evidence: Evidence, one: Input, started: list[tuple[RunStory, Start]], letters: list[DeadLetter]
) -> None:
    findings, figures = evidence.findings, evidence.findings.figures
    poison = [letter for letter in letters if letter.kind != CONFLICT]
    if not started and not letters:
        if not evidence.consumed(one.at):
            figures.unread_inputs += 1
        elif not evidence.cut_short("run", "dead-letter"):
            findings.add("a.input-lost", one.at, "neither a run nor a dead letter came of it")
    runs = {run.run_id for run, _ in started}
    if len(runs) > 1 or (runs and poison):
        ends = [f"run {run_id!r}" for run_id in sorted(runs)] + [f"dead letter {_text(letter.at)}" for letter in poison]
        findings.add("a.input-twice", one.at, f"it became {' and '.join(ends)}")
    for run, start in started:
        _check_start(evidence, one, run, start)
    for letter in letters:
        if (letter.key, letter.digest) != (one.key, one.digest):
            findings.add("a.input-changed", letter.at, f"not the key and value of {_text(one.at)}")
    for run_id in runs:
        _check_conflict(evidence, one, evidence.runs[run_id], letters)


def _check_start(evidence: Evidence, one: Input, run: RunStory, start: Start) -> None:
    if (start.source_key, start.input) != (one.key, one.digest):
        evidence.findings.add("a.input-changed", start.at, f"not the key and value of {_text(one.at)}")
    by_position = bool(one.from_position) and run.run_id.startswith(one.from_position)
    if run.run_id not in one.run_ids and not by_position:
        message = f"run {run.run_id!r}, but {_text(one.at)} calls it {' or '.join(sorted(one.run_ids)) or 'nothing'}"
        evidence.findings.add("a.run-id", start.at, message)


def _check_conflict(evidence: Evidence, one: Input, run: RunStory, letters: list[DeadLetter]) -> None:
    """Check an input that came after its run id was taken: the same input is the same run, another one a dead letter."""
    if run.start is None or not run.judged:
        return
    mine = next(start for start in run.starts if start.source == one.at)
    conflicts = [letter for letter in letters if letter.kind == CONFLICT]
    same = mine.input_hash == run.start.input_hash
    evidence.findings.figures.repeated_inputs += same and run.start.source != one.at
    if same and conflicts:
        message = f"run {run.run_id!r} was started with the same input by {_text(run.start.source)}"
        evidence.findings.add("a.conflict-unfounded", conflicts[0].at, message)
    settled = evidence.consumed(mine.at) and not evidence.cut_short("dead-letter")
    if not same and settled and not conflicts:
        message = (
            f"run {run.run_id!r} had started with another input ({_text(run.start.source)}), and no dead letter says so"
        )
        evidence.findings.add("a.conflict-lost", one.at, message)


def _check_sources(evidence: Evidence, starts: dict[Cause, list[tuple[RunStory, Start]]]) -> None:
    """Check that what claims to come from the input topic does, as far as that reaches back."""
    named = [(cause, start.at) for cause, found in starts.items() for _, start in found if evidence.consumed(start.at)]
    named += [(cause, letter.at) for cause, letters in refusals(evidence).items() for letter in letters]
    for cause, at in named:
        known = cause in (evidence.commands if evidence.layout.has(cause[0], "control") else evidence.inputs)
        extent = evidence.extent_of(cause[0], cause[1])
        if not known and cause[2] >= extent.begin:
            evidence.findings.add("a.input-missing", at, f"there is no record {'/'.join(map(str, cause))}")


# ---- runs -----------------------------------------------------------------------------------------------------------


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
        elif not run.results and whole:
            rows = {node: held.row for node, table in tables.items() if (held := table.get(run.run_id))}
            _check_waiting(evidence, run, {n: row for n, row in rows.items() if isinstance(row, NodeRow)}, timers)
    _count_runs(evidence)


def _check_results(evidence: Evidence, run: RunStory) -> None:
    for epoch in {repr(result.epoch) for result in run.results}:
        first, *more = [result for result in run.results if repr(result.epoch) == epoch]
        evidence.findings.figures.repeated_results += len(more)
        for result in more:
            if (result.ce_id, result.digest) != (first.ce_id, first.digest):
                message = f"run {run.run_id!r}: not the result of {_text(first.at)}"
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
    open_nodes = [node for node in evidence.layout.nodes if run.node(node).winner is None]
    if run.unsettled:
        figures.waiting_unread += 1
    elif any(row.status == "running" and node in open_nodes for node, row in rows.items()):
        figures.waiting_running += 1
    elif open_nodes and waits:
        figures.waiting_retry += 1
    elif run.start is not None:
        stand = ", ".join(f"{node} {run.node(node).standing.status}" for node in evidence.layout.nodes)
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


def _cause(at: Position) -> Cause:
    return (at.topic, at.partition, at.offset)


def _text(at: Position) -> str:
    return f"{at.topic}/{at.partition}/{at.offset}"
