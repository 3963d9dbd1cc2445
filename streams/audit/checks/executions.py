"""(d): how often nodes were executed. What breaks the order of attempts was noted while their journals were read."""

from __future__ import annotations

from streams.audit.evidence import Evidence
from streams.audit.story import NodeStory
from topology.naming import run_topic


def check_executions(evidence: Evidence, max_repeated: int | None) -> None:
    """Count, and check that no more executions were repeated than allowed (None: any number)."""
    figures = evidence.findings.figures
    for run in evidence.runs.values():
        for story in run.nodes.values():
            _count(evidence, story)
    if max_repeated is not None and figures.repeated > max_repeated:
        message = f"{figures.repeated} executions were repeated, {max_repeated} are allowed"
        evidence.findings.at_partition("d.repeated", run_topic(evidence.layout.workflow), 0, message)


def _count(evidence: Evidence, story: NodeStory) -> None:
    figures = evidence.findings.figures
    figures.executions += story.executions
    figures.repeated += story.repeated
    figures.contested += story.contested
