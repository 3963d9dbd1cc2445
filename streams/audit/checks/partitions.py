"""(f): the co-partitioned topics have one partition count. Single records are checked as they are read."""

from __future__ import annotations

from streams.audit.evidence import Evidence
from streams.audit.layout import CO_PARTITIONED
from topology.naming import run_topic


def check_partition_counts(evidence: Evidence) -> None:
    """Check them against the run topic's."""
    layout = evidence.layout
    count = layout.topics.get(run_topic(layout.workflow), 0)
    for topic, found in layout.topics.items():
        if layout.roles[topic] in CO_PARTITIONED and found != count:
            message = f"{found} partitions, {run_topic(layout.workflow)} has {count}"
            evidence.findings.at_partition("f.count", topic, 0, message)
