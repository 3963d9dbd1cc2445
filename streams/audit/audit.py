"""The audit: take every record, then hold the invariants against what was taken. Pure: where the records come from is `read.py`'s matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streams.audit.checks.dead_letters import check_dead_letters
from streams.audit.checks.epochs import check_epochs
from streams.audit.checks.executions import check_executions
from streams.audit.checks.inputs import check_commands, check_inputs
from streams.audit.checks.ledger import check_ledger
from streams.audit.checks.offsets import check_offsets
from streams.audit.checks.partitions import check_partition_counts
from streams.audit.checks.results import check_results
from streams.audit.checks.rows import check_rows
from streams.audit.checks.runs import check_runs
from streams.audit.checks.timers import check_timers
from streams.audit.evidence import Evidence
from streams.audit.layout import Layout
from streams.audit.report import Report
from streams.audit.snapshot import Entry, Extent, Place, Snapshot


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for: `quiet` means that no worker has anything left to do; `max_repeated` None allows any number."""

    quiet: bool = True
    max_repeated: int | None = None


class Auditor:
    """Takes records in any order between partitions, in the log's order within one; then `report` judges."""

    def __init__(self, layout: Layout, extents: Mapping[Place, Extent]) -> None:
        self._evidence = Evidence(layout, extents)

    def take(self, entry: Entry) -> None:
        """Take a record."""
        self._evidence.take(entry)

    def report(self, terms: Terms) -> Report:
        """Judge what was taken."""
        evidence = self._evidence
        check_inputs(evidence)  # (a)
        check_commands(evidence)
        check_runs(evidence)
        check_offsets(evidence, terms.quiet)  # (b)
        check_rows(evidence)  # (c)
        check_timers(evidence)
        check_results(evidence)  # (c), (i)
        check_executions(evidence, terms.max_repeated)  # (d)
        check_ledger(evidence)  # (e); that no row is over its limit, as they were taken
        check_epochs(evidence)  # (g)
        check_partition_counts(evidence)  # (f); of single records, with (g), as they were taken
        check_dead_letters(evidence)  # (h)
        _note_limits(evidence)
        return evidence.findings.report()


def audit(snapshot: Snapshot, terms: Terms | None = None) -> Report:
    """Audit a snapshot."""
    auditor = Auditor(snapshot.layout, snapshot.extents)
    for entry in snapshot.entries:
        auditor.take(entry)
    return auditor.report(terms or Terms())


def _note_limits(evidence: Evidence) -> None:
    """Say what retention has put beyond judgement."""
    for (topic, partition), extent in sorted(evidence.extents.items()):
        if extent.begin > 0 and not evidence.layout.has(topic, "changelog", "control", "retry"):
            evidence.findings.notes.append(f"{topic}/{partition}: records before {extent.begin} are gone, not judged")
