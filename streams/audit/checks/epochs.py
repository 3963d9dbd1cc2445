"""(g): an epoch above the first is one that was opened, and each opens after the result of the one before."""

from __future__ import annotations

from streams.audit.evidence import Evidence
from streams.audit.runs import RunStory
from topology.items import base_of


def check_epochs(evidence: Evidence) -> None:
    """Check every run's epochs."""
    for run in evidence.settled_runs():
        opened = {record.epoch: record for record, _ in run.opened}
        for (node, epoch), story in run.nodes.items():
            if epoch and story.first and (epoch not in opened or base_of(node) not in opened[epoch].reopen):
                message = f"run {run.run_id!r}, node {node!r}: epoch {epoch} was not opened for it"
                evidence.findings.add("g.epoch", story.first, message)
        for finished, at in run.finishes:
            if finished.epoch and finished.epoch not in opened:
                evidence.findings.add("g.epoch", at, f"run {run.run_id!r}: epoch {finished.epoch} was not opened")
        _check_order(evidence, run)


def _check_order(evidence: Evidence, run: RunStory) -> None:
    for record, at in run.opened:
        before = run.finish(record.previous)
        if before is None or before[1].offset > at.offset:
            message = f"run {run.run_id!r}: epoch {record.epoch} was opened before epoch {record.previous} was finished"
            evidence.findings.add("i.opened-early", at, message)
