"""What its journal says of a node, folded by the rules of PROTOCOL.md and nothing else.

The first terminal record of (run, node, epoch) in the partition wins. Before it, the first `AttemptFailed` of a seq counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.records import (
    STATUS_OF,
    AttemptDue,
    AttemptFailed,
    ErrorInfo,
    Failed,
    NodeRecord,
    NodeStatus,
    Position,
    Skipped,
    Spent,
    Succeeded,
    Terminal,
)
from streams.audit.digests import digest, meaning
from streams.audit.report import Findings


@dataclass(slots=True)
class Standing:
    """How a node stands for every reader. `output` is a digest of the text, `meaning` one of the JSON value."""

    status: NodeStatus = "pending"
    attempts: int = 0
    error: ErrorInfo | None = None
    spent: Spent = field(default_factory=Spent)
    model: str | None = None
    started_at: int | None = None
    finished_at: int | None = None
    output: str | None = None
    meaning: str | None = None


@dataclass(slots=True)
class NodeStory:
    """One node of one run in one epoch: `winner` stands at `at`; `tried` has (seq, attempt, failed) of each seq's first record."""

    standing: Standing = field(default_factory=Standing)
    winner: type[Terminal] | None = None
    seq: int = 0
    at: Position | None = None
    tried: list[tuple[int, int, bool]] = field(default_factory=list)
    due: int = 0
    """The highest seq whose wait was over before the node ended."""
    begun: Position | None = None
    """Where the first record of an attempt stands."""
    executions: int = 0
    repeated: int = 0
    contested: int = 0

    def take(self, record: NodeRecord, at: Position, findings: Findings) -> None:
        """Take the journal's next record."""
        match record:
            case AttemptDue():
                self._due(record, at, findings)
            case AttemptFailed():
                self._execution(record, at, findings)
            case Succeeded():
                self._execution(record, at, findings)
                self._end(record, at, findings)
            case _:
                self._end(record, at, findings)

    def _due(self, record: AttemptDue, at: Position, findings: Findings) -> None:
        if (record.seq, True) not in ((seq, failed) for seq, _, failed in self.tried):
            findings.add(
                "d.due-unfounded", at, f"{_name(record)}: seq {record.seq} has not failed before it was due again"
            )
        if self.winner is None:
            self.due = max(self.due, record.seq)

    def _execution(self, record: Succeeded | AttemptFailed, at: Position, findings: Findings) -> None:
        self.executions += 1
        self.begun = self.begun or at
        failed = isinstance(record, AttemptFailed)
        known = next((one for one in self.tried if one[0] == record.seq), None)
        if known is not None:
            self.repeated += 1
            self.contested += known[2] and not failed and self.winner is None
            if known[1] != record.attempt:
                message = f"{_name(record)}: seq {record.seq} is attempt {known[1]}, and then attempt {record.attempt}"
                findings.add("d.seq-reused", at, message)
            return
        self._check_new(record, at, findings)
        self.tried.append((record.seq, record.attempt, failed))
        if isinstance(record, AttemptFailed) and self.winner is None:
            self._attempt_failed(record)

    def _check_new(self, record: Succeeded | AttemptFailed, at: Position, findings: Findings) -> None:
        """Check an attempt nobody has published before: the next one, and launched after the wait and before the end."""
        seq, attempt, _ = self.tried[-1] if self.tried else (0, 0, True)
        if record.seq != seq + 1:
            findings.add("d.seq-gap", at, f"{_name(record)}: seq {record.seq} follows seq {seq}")
        if record.attempt != attempt + 1:
            findings.add("d.attempt-gap", at, f"{_name(record)}: attempt {record.attempt} follows attempt {attempt}")
        in_flight = record.seq == 1 and self.winner is not None and self.standing.status == "cancelled"
        if record.seq - 1 > self.due or (self.winner is not None and record.seq == 1 and not in_flight):
            code, when = (
                ("d.launch-early", "its turn") if self.winner is None else ("d.launch-after-end", "the node ended")
            )
            before = "before" if self.winner is None else "after"
            findings.add(code, at, f"{_name(record)}: seq {record.seq} was launched {before} {when}")

    def _attempt_failed(self, record: AttemptFailed) -> None:
        now = self.standing
        now.attempts, now.error, now.spent = record.attempt, record.error, now.spent + record.spent
        now.model = record.model or now.model
        now.started_at = record.started_at if now.started_at is None else now.started_at

    def _end(self, record: Terminal, at: Position, findings: Findings) -> None:
        if self.winner is not None:
            return
        self._check_end(record, at, findings)
        self.winner, self.at, self.seq = type(record), at, record.seq
        now = self.standing
        now.status, now.finished_at = STATUS_OF[type(record)], record.finished_at
        if isinstance(record, Failed):
            now.attempts, now.error = record.attempt, record.error
        elif isinstance(record, Succeeded):
            now.attempts, now.error, now.spent, now.model = record.attempt, None, now.spent + record.spent, record.model
            now.started_at = record.started_at if now.started_at is None else now.started_at
            now.output, now.meaning = digest(record.output), meaning(record.output)

    def _check_end(self, record: Terminal, at: Position, findings: Findings) -> None:
        last = self.tried[-1][:2] if self.tried else (0, 0)
        if isinstance(record, Skipped) and self.tried:
            findings.add("d.end-unfounded", at, f"{_name(record)}: skipped after attempt {last[1]}")
        if isinstance(record, Failed) and (record.seq, record.attempt) != last:
            says = f"seq {record.seq}, attempt {record.attempt}"
            findings.add(
                "d.end-unfounded",
                at,
                f"{_name(record)}: failed at {says}; the last one was seq {last[0]}, attempt {last[1]}",
            )


def _name(record: NodeRecord) -> str:
    return f"run {record.run_id!r}, node {record.node!r}"
