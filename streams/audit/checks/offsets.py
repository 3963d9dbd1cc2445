"""(b): once quiet, the group's committed offsets are the ends."""

from __future__ import annotations

from streams.audit.evidence import Evidence
from streams.audit.layout import CONSUMED
from streams.audit.snapshot import Extent, Place


def check_offsets(evidence: Evidence, quiet: bool) -> None:
    """Check every partition the group commits; unless `quiet`, only that nothing is committed beyond an end."""
    behind = _records_behind(evidence)
    for place, extent in evidence.extents.items():
        if evidence.layout.roles[place[0]] not in CONSUMED:
            continue
        evidence.findings.figures.lag += max(
            0, extent.end - (extent.begin if extent.committed is None else extent.committed)
        )
        _check(evidence, place, extent, quiet, behind.get(place, 0))


def _check(evidence: Evidence, place: Place, extent: Extent, quiet: bool, unread: int) -> None:
    say, end, committed = evidence.findings.at_partition, extent.end, extent.committed
    if committed is not None and committed > end:
        say("b.beyond", *place, f"committed {committed}, the end is {end}", committed)
    elif not quiet:
        return
    elif committed is None and end > extent.begin:
        say("b.missing", *place, f"nothing committed, the end is {end}", extent.begin)
    elif committed is not None and committed < end and (unread or not _is_public(evidence, place[0])):
        say("b.behind", *place, f"committed {committed}, the end is {end}", committed)


def _is_public(evidence: Evidence, topic: str) -> bool:
    """Say whether anybody may write there: then the last offset may be a transaction's marker, which no consumer sees."""
    return evidence.layout.has(topic, "input", "control")


def _records_behind(evidence: Evidence) -> dict[Place, int]:
    """Return how many inputs and commands stand at or behind the committed offset."""
    found: dict[Place, int] = {}
    for one in (*evidence.inputs.values(), *evidence.commands.values()):
        if not evidence.consumed(one.at):
            place = (one.at.topic, one.at.partition)
            found[place] = found.get(place, 0) + 1
    return found
