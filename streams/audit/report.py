"""What an audit finds: violations, each with its place, and figures."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.records import Position
from streams.audit.codes import CODES


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be: a code of `codes.CODES`, where it stands (offset None: the partition as a whole), and what."""

    code: str
    topic: str
    partition: int
    offset: int | None
    message: str

    @property
    def place(self) -> str:
        """The place as topic/partition/offset."""
        return f"{self.topic}/{self.partition}" + ("" if self.offset is None else f"/{self.offset}")


@dataclass(slots=True)
class Figures:
    """What was counted. `repeated` and the like are no violations: a crash makes records, and attempts in flight, come again."""

    records: int = 0
    inputs: int = 0
    repeated_inputs: int = 0
    """The same input of the same run again."""
    refused: int = 0
    """Inputs and commands in the dead letters, conflicts among them."""
    runs: int = 0
    results: int = 0
    repeated_results: int = 0
    waiting: int = 0
    """Runs without a result, with a reason: `waiting_...`; inputs that are not consumed yet are `unread_inputs`."""
    waiting_running: int = 0
    waiting_retry: int = 0
    waiting_unread: int = 0
    unread_inputs: int = 0
    retired: int = 0
    dead_letters: int = 0
    """Of nodes that failed."""
    repeated_dead_letters: int = 0
    executions: int = 0
    repeated: int = 0
    """Executions beyond the first of a (run, node, epoch, seq)."""
    contested: int = 0
    """Attempts that failed in one worker and succeeded in another: the success counts (PROTOCOL.md 1)."""
    timers: int = 0
    lag: int = 0
    """Offsets not committed yet, over all topics."""
    unsettled: int = 0
    """Runs with records that are not consumed yet: what is still to come of them is not judged."""
    not_judged: int = 0
    """Runs in partitions whose journals do not reach back to their beginning."""


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of an audit; `notes` say what could not be judged."""

    violations: tuple[Violation, ...]
    figures: Figures
    notes: tuple[str, ...]


@dataclass(slots=True)
class Findings:
    """Collects while an audit goes on."""

    violations: list[Violation] = field(default_factory=list)
    figures: Figures = field(default_factory=Figures)
    notes: list[str] = field(default_factory=list)

    def add(self, code: str, at: Position, message: str) -> None:
        """Note a violation at a record."""
        self.at_partition(code, at.topic, at.partition, message, at.offset)

    def at_partition(self, code: str, topic: str, partition: int, message: str, offset: int | None = None) -> None:
        """Note a violation of a partition as a whole."""
        if code not in CODES:
            raise KeyError(code)
        self.violations.append(Violation(code, topic, partition, offset, message))

    def report(self) -> Report:
        """Return what was found, ordered by code and place."""
        ordered = sorted(self.violations, key=lambda v: (v.code, v.topic, v.partition, v.offset or 0))
        return Report(tuple(ordered), self.figures, tuple(self.notes))
