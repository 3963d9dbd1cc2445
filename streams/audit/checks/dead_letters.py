"""(h): a node that failed for good has one dead letter, and a dead letter has a cause."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.ids import ce_id
from schemas.records import Failed, Position
from streams.audit.checks.compare import differing, text
from streams.audit.evidence import Evidence
from streams.audit.public import Cause, DeadLetter
from streams.audit.runs import RunStory
from streams.audit.story import NodeStory, stops
from topology.items import index_of

COMPARED = 1000
"""Characters of a message: a header may be cut, though not as short as this."""


@dataclass(frozen=True, slots=True)
class _Failure:
    run: RunStory
    node: str
    epoch: int
    story: NodeStory


def check_dead_letters(evidence: Evidence) -> None:
    """Check every winning `Failed` against the dead letters, and the other way round."""
    failures = {
        ce_id(run.run_id, node, epoch, story.seq, "DeadLetter"): _Failure(run, node, epoch, story)
        for run in evidence.runs.values()
        for (node, epoch), story in run.nodes.items()
        if story.winner is Failed and not stops(story.standing.error) and index_of(node) is None
    }
    first: dict[str | None, DeadLetter] = {}
    for letter in evidence.dead_letters:
        if letter.ce_id in first:
            _check_repeat(evidence, letter, first[letter.ce_id])
            continue
        first[letter.ce_id] = letter
        if letter.node is None:
            _check_refusal(evidence, letter)
        else:
            _check_letter(evidence, letter, failures.get(letter.ce_id or ""))
    _check_missing(evidence, failures, first)


def _check_missing(evidence: Evidence, failures: dict[str, _Failure], first: dict[str | None, DeadLetter]) -> None:
    """It is written once the node's inputs are known, too: after a crash they may be read behind its end."""
    whole = not evidence.cut_short("dead-letter")
    for identity, failure in failures.items():
        run, at = failure.run, failure.story.at
        if identity not in first and whole and run.judged and not run.unsettled and at is not None:
            evidence.findings.add("h.missing", at, f"run {run.run_id!r}, node {failure.node!r} has no dead letter")


def _check_repeat(evidence: Evidence, letter: DeadLetter, first: DeadLetter) -> None:
    evidence.findings.figures.repeated_dead_letters += 1
    if (letter.key, letter.digest, letter.kind, letter.message) != (first.key, first.digest, first.kind, first.message):
        evidence.findings.add("h.differs", letter.at, f"has the ce_id of {text(first.at)}, and is another one")


def _check_refusal(evidence: Evidence, letter: DeadLetter) -> None:
    """Check the dead letter of a record that could not be used; inputs and commands have checks of their own."""
    evidence.findings.figures.refused += 1
    if letter.cause is None or letter.cause[0] not in evidence.layout.topics:
        evidence.findings.add("h.unfounded", letter.at, "names neither a node nor a record of this workflow")
        return
    _check_id(evidence, letter, f"{'/'.join(map(str, letter.cause))}/DeadLetter")
    if not _exists(evidence, letter.cause):
        evidence.findings.add("h.unfounded", letter.at, f"there is no record {'/'.join(map(str, letter.cause))}")


def _check_letter(evidence: Evidence, letter: DeadLetter, failure: _Failure | None) -> None:
    evidence.findings.figures.dead_letters += 1
    if failure is None:
        run = evidence.runs.get((letter.key or b"").decode(errors="replace"))
        if run is None or run.judged:
            message = f"ce_id {letter.ce_id!r}: no Failed of node {letter.node!r} that won has it"
            evidence.findings.add("h.unfounded", letter.at, message)
        return
    run, error, at = failure.run, failure.story.standing.error, failure.story.at or Position("", 0, 0)
    _check_id(evidence, letter, letter.ce_id or "")
    fields = [
        ("key", letter.key, run.run_id.encode()),
        ("node", letter.node, failure.node),
        ("attempt", letter.attempt, str(failure.story.standing.attempts)),
        ("kind", letter.kind, error.kind if error else None),
        ("message", letter.message[:COMPARED], error.message[:COMPARED] if error else ""),
        *_shown(run, letter, failure.epoch),
    ]
    if wrong := differing(fields):
        evidence.findings.add("h.differs", letter.at, f"{wrong} ({text(at)})")


def _shown(run: RunStory, letter: DeadLetter, epoch: int) -> list[tuple[str, str | None, str | None]]:
    """Compare what the node is said to have seen with what there was, but for what a redrive changed."""
    if letter.shown is None:
        return [("value", "not a JSON object", None)]
    edited = run.edited(epoch)
    return [
        (f"value.{name}", said, _meaning(run, name, epoch)) for name, said in letter.shown.items() if name not in edited
    ]


def _meaning(run: RunStory, name: str, epoch: int) -> str | None:
    if name == "input":
        return run.start.input_meaning if run.start else None
    return run.node(name, epoch).standing.meaning


def _check_id(evidence: Evidence, letter: DeadLetter, wanted: str) -> None:
    if letter.ce_id != wanted:
        evidence.findings.add("g.ce-id", letter.at, f"ce_id is {letter.ce_id!r}, should be {wanted!r}")
    if letter.ce_type != "DeadLetter":
        evidence.findings.add("g.ce-type", letter.at, f"ce_type is {letter.ce_type!r}, should be 'DeadLetter'")


def _exists(evidence: Evidence, cause: Cause) -> bool:
    extent = evidence.extent_of(cause[0], cause[1])
    return cause[2] < extent.end
