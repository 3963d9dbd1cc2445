"""(a): every input is exactly once a run or a dead letter, and says the same there."""

from __future__ import annotations

from collections import defaultdict

from schemas.records import Position
from streams.audit.checks.compare import text
from streams.audit.evidence import Evidence
from streams.audit.public import Cause, DeadLetter, Input
from streams.audit.runs import RunStory, Start

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
    done = {_cause(source) for run in evidence.runs.values() for source in run.commands} | refusals(evidence).keys()
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
        ends = [f"run {run_id!r}" for run_id in sorted(runs)] + [f"dead letter {text(letter.at)}" for letter in poison]
        findings.add("a.input-twice", one.at, f"it became {' and '.join(ends)}")
    for run, start in started:
        _check_start(evidence, one, run, start)
    for letter in letters:
        if letter.key != one.key or letter.digest not in (one.digest, one.read):  # a conflict's is as it was read
            findings.add("a.input-changed", letter.at, f"not the key and value of {text(one.at)}")
    for run_id in runs:
        _check_conflict(evidence, one, evidence.runs[run_id], letters)


def _check_start(evidence: Evidence, one: Input, run: RunStory, start: Start) -> None:
    if (start.source_key, start.input) != (one.key, one.read):
        evidence.findings.add("a.input-changed", start.at, f"not the key and value of {text(one.at)}")
    by_position = bool(one.from_position) and run.run_id.startswith(one.from_position)
    if run.run_id not in one.run_ids and not by_position:
        message = f"run {run.run_id!r}, but {text(one.at)} calls it {' or '.join(sorted(one.run_ids)) or 'nothing'}"
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
        message = f"run {run.run_id!r} was started with the same input by {text(run.start.source)}"
        evidence.findings.add("a.conflict-unfounded", conflicts[0].at, message)
    settled = evidence.consumed(mine.at) and not evidence.cut_short("dead-letter")
    if not same and settled and not conflicts:
        message = (
            f"run {run.run_id!r} had started with another input ({text(run.start.source)}), and no dead letter says so"
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


def _cause(at: Position) -> Cause:
    return (at.topic, at.partition, at.offset)
