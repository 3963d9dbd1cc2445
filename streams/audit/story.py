"""What its journal says of a node, folded by the rules of PROTOCOL.md and nothing else.

The first terminal record of (run, node, epoch) in the partition wins. Before it, the first `AttemptFailed` of a seq counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.records import (
    STATUS_OF,
    AttemptDeferred,
    AttemptDue,
    AttemptFailed,
    CallLost,
    Cancelled,
    Decided,
    ErrorInfo,
    Failed,
    ModelSwitched,
    NodeRecord,
    NodeStatus,
    Position,
    Refused,
    ReviewRequested,
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
    reused: bool = False


def stops(error: ErrorInfo | None) -> bool:
    """Say whether a node that failed so stops its run, which is no failure and has no dead letter."""
    return error is not None and error.kind == "low_confidence"


@dataclass(frozen=True, slots=True)
class Try:
    """The first record of a seq. `attempt` counts those made up to it: one that was deferred is not made."""

    seq: int
    attempt: int
    failed: bool


@dataclass(slots=True)
class NodeStory:
    """One node of one run in one epoch: `winner` stands at `at`; `tried` has each seq's first record, in order.

    `charges` has what each launch (seq, launch) used, by the first record that says so.
    """

    standing: Standing = field(default_factory=Standing)
    winner: type[Terminal] | None = None
    seq: int = 0
    at: Position | None = None
    tried: list[Try] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    charges: dict[tuple[int, int], Spent] = field(default_factory=dict)
    first: Position | None = None
    due: int = 0
    """The highest seq whose wait was over before the node ended."""
    fanned: bool = False
    """Its items do the work: what it ends with is gathered."""
    asked: int | None = None
    """The seq of the last review that was asked for."""
    decided: int | None = None
    """The seq of the review that was decided on."""
    begun: Position | None = None
    """Where the first record of an attempt stands."""
    executions: int = 0
    repeated: int = 0
    contested: int = 0

    def take(self, record: NodeRecord, at: Position, findings: Findings) -> None:
        """Take the journal's next record."""
        if isinstance(record, Refused):
            return  # of a command, not of an epoch
        self.first = self.first or at
        match record:
            case AttemptDue():
                self._due(record, at, findings)
            case AttemptDeferred():
                self.charges.setdefault((record.seq, record.launch), Spent())
                self._deferral(record, at, findings)
            case CallLost():
                self.charges.setdefault((record.seq, record.launch), record.charged)
                self.lost.add(record.seq)
            case ModelSwitched():
                self.due = max(self.due, record.seq - 1)  # the next model is asked without a wait
            case AttemptFailed():
                self._execution(record, at, findings)
            case ReviewRequested():
                self._asked(record)
            case Decided():
                self.decided = record.seq
            case Succeeded() if self.fanned or record.attempt == 0 or record.seq == self.decided:
                self._end(record, at, findings)  # decided by the node's agent or a person, without an attempt
            case Succeeded():
                self._execution(record, at, findings)
                self._end(record, at, findings)
            case Failed() | Skipped() | Cancelled():
                self._end(record, at, findings)

    def _asked(self, record: ReviewRequested) -> None:
        if self.winner is None:
            self.asked = max(self.asked or 0, record.seq)

    def _due(self, record: AttemptDue, at: Position, findings: Findings) -> None:
        if not any(one.seq == record.seq and one.failed for one in self.tried):
            findings.add(
                "d.due-unfounded", at, f"{_name(record)}: seq {record.seq} has not failed before it was due again"
            )
        if self.winner is None:
            self.due = max(self.due, record.seq)

    def _deferral(self, record: AttemptDeferred, at: Position, findings: Findings) -> None:
        if all(one.seq != record.seq for one in self.tried):
            self._check_new(record, at, findings)
            self.tried.append(Try(record.seq, record.attempt - 1, failed=True))

    def _execution(self, record: Succeeded | AttemptFailed, at: Position, findings: Findings) -> None:
        if record.metered:
            self.charges.setdefault((record.seq, record.launch), record.spent)
        self.executions += 1
        self.begun = self.begun or at
        failed = isinstance(record, AttemptFailed)
        known = next((one for one in self.tried if one.seq == record.seq), None)
        if known is not None:
            self.repeated += 1
            self.contested += known.failed and not failed and self.winner is None
            if record.attempt - known.attempt not in (0, 1):  # 1: one launch was deferred, and another one made
                message = (
                    f"{_name(record)}: seq {record.seq} is attempt {known.attempt}, and then attempt {record.attempt}"
                )
                findings.add("d.seq-reused", at, message)
            return
        self._check_new(record, at, findings)
        self.tried.append(Try(record.seq, record.attempt, failed))
        if isinstance(record, AttemptFailed) and self.winner is None:
            self._attempt_failed(record)

    @property
    def last(self) -> Try:
        """The last seq of which anything was published."""
        return self.tried[-1] if self.tried else Try(0, 0, failed=True)

    def _check_new(self, record: Succeeded | AttemptFailed | AttemptDeferred, at: Position, findings: Findings) -> None:
        """Check an attempt nobody has published before: the next one, and launched after the wait and before the end."""
        last = self.last
        skipped = set(range(last.seq + 1, record.seq)) - self.lost  # a lost call may be given up for another model's
        if record.seq <= last.seq or skipped:
            findings.add("d.seq-gap", at, f"{_name(record)}: seq {record.seq} follows seq {last.seq}")
        if record.attempt != last.attempt + 1:
            findings.add(
                "d.attempt-gap", at, f"{_name(record)}: attempt {record.attempt} follows attempt {last.attempt}"
            )
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
            now.attempts, now.error, now.spent = record.attempt, record.error, now.spent + (record.spent or Spent())
        elif isinstance(record, Cancelled) and record.reason is not None:
            message = f"cancelled: the run's {record.reason} was reached"
            now.error = ErrorInfo(record.reason, message, retryable=False)
        elif isinstance(record, Succeeded):
            now.attempts, now.error, now.spent, now.model = record.attempt, None, now.spent + record.spent, record.model
            now.started_at = record.started_at if now.started_at is None else now.started_at
            now.output, now.meaning = digest(record.output), meaning(record.output)
            now.reused = record.reused

    def _check_end(self, record: Terminal, at: Position, findings: Findings) -> None:
        last = self.last
        if isinstance(record, Skipped) and self.tried:
            findings.add("d.end-unfounded", at, f"{_name(record)}: skipped after attempt {last.attempt}")
        seq = last.seq if self.decided is None else self.decided
        at_last = (record.seq, getattr(record, "attempt", 0)) == (seq, last.attempt)
        if isinstance(record, Failed) and not self.fanned and not at_last and record.seq not in self.lost:
            says = f"seq {record.seq}, attempt {record.attempt}"
            findings.add(
                "d.end-unfounded",
                at,
                f"{_name(record)}: failed at {says}; the last one was seq {last.seq}, attempt {last.attempt}",
            )


def _name(record: NodeRecord) -> str:
    return f"run {record.run_id!r}, node {record.node!r}"
