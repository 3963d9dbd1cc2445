"""The test driver's log as a snapshot, and ways to doctor it: what a broken engine could leave behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from schemas import headers as names
from schemas.codec import decode, encode
from schemas.headers import headers_of
from schemas.records import OwnerMarker, Record
from streams.audit.audit import Terms, audit
from streams.audit.layout import CONSUMED, Layout, layout_of
from streams.audit.report import Report
from streams.audit.snapshot import Entry, Extent, Place, Snapshot
from streams.core.changelog import MARKER_KEY
from streams.engine.retirement import Retirement
from streams.testing import PARTITIONS, Crash, TopologyTestDriver, partition_of
from topology.naming import changelog_topic

WF = "wf"


@dataclass
class Doctored:
    """A snapshot that can be changed before it is audited. Topics are called by their last part, `table:NAME` is a changelog."""

    layout: Layout
    extents: dict[Place, Extent]
    entries: list[Entry]

    def audit(self, **terms: Any) -> Report:
        """Audit it."""
        return audit(Snapshot(self.layout, self.extents, self.entries), Terms(**terms))

    def codes(self, **terms: Any) -> set[str]:
        """Return the codes of what the audit finds."""
        return {violation.code for violation in self.audit(**terms).violations}

    def of(self, topic: str, kind: type | None = None, run_id: str = "r1") -> list[Entry]:
        """Return the records of a run in a topic, those of one kind if it is given."""
        name, key = topic_of(topic), run_id.encode()
        found = [e for e in self.entries if e.topic == name and (e.key or b"").split(b"/")[0] == key]
        return [e for e in found if kind is None or isinstance(decode(e.value or b""), kind)]

    def drop(self, entry: Entry) -> None:
        """Take a record away; its offset stays empty."""
        self.entries.remove(entry)

    def put(self, entry: Entry, **changes: Any) -> Entry:
        """Change a record where it stands; `record` is what is to be in its value, `header` replaces one header."""
        at = self.entries.index(entry)
        self.entries[at] = self._changed(entry, **changes)
        return self.entries[at]

    def append(self, entry: Entry, partition: int | None = None, consumed: bool = True, **changes: Any) -> Entry:
        """Append a changed copy of a record to the end of its partition, or of another one."""
        place = (entry.topic, entry.partition if partition is None else partition)
        extent = self.extents[place]
        read = consumed and self.layout.roles[entry.topic] in CONSUMED
        committed = extent.end + 1 if read else extent.committed
        self.extents[place] = replace(extent, end=extent.end + 1, committed=committed)
        made = replace(self._changed(entry, **changes), partition=place[1], offset=extent.end)
        self.entries.append(made)
        return made

    def commit(self, topic: str, by: int) -> None:
        """Move the committed offset of a partition that has records."""
        for place, extent in self.extents.items():
            if place[0] == topic_of(topic) and extent.committed:
                self.extents[place] = replace(extent, committed=extent.committed + by)
                return
        raise AssertionError(f"nothing committed in {topic}")

    def last_row(self, table: str, run_id: str = "r1") -> Entry:
        """Return the last record of a key in a table."""
        return self.of(f"table:{table}", run_id=run_id)[-1]

    def change_row(self, table: str, **fields: Any) -> None:
        """Change fields of the last row of the run."""
        entry = self.last_row(table)
        self.put(entry, record=replace(decode(entry.value or b""), **fields))  # type: ignore[type-var]

    def marker(self, table: str, owner_epoch: int) -> Record:
        """Let a new owner take the run's partition of a table over."""
        record = OwnerMarker(owner_epoch, f"worker-{owner_epoch}")
        self.append(self.last_row(table), key=MARKER_KEY, record=record, header=(names.OWNER_EPOCH, str(owner_epoch)))
        return record

    @staticmethod
    def _changed(
        entry: Entry, record: Record | None = None, header: tuple[str, str] | None = None, **changes: Any
    ) -> Entry:
        if record is not None:
            changes["value"] = encode(record)
        if header is not None:
            kept = tuple(h for h in entry.headers if h[0] != header[0])
            changes["headers"] = kept + headers_of({header[0]: header[1]})
        return replace(entry, **changes)


def snapshot_of(driver: TopologyTestDriver) -> Doctored:
    """Return what a driver's log holds; it commits no position of the output topic, so that counts as read."""
    counts = {t.name: PARTITIONS for t in driver.plan.topics} | {t.changelog: PARTITIONS for t in driver.plan.tables}
    layout = layout_of(driver.plan.id, counts, lambda key, count: partition_of(key))
    extents = {place: _extent(driver, layout, *place) for place in layout.places()}
    entries = [
        Entry(r.topic, r.partition, r.offset, r.key, r.value, r.headers)
        for topic in counts
        for log in driver.log.topics[topic].values()
        for r in log
    ]
    return Doctored(layout, extents, entries)


def retire(driver: TopologyTestDriver) -> None:
    """Let the time come at which the state of finished runs is dropped, as an engine does; if it dies, the next one does."""
    driver.now += driver.plan.state_retention_ms + 1000
    try:
        _retire(driver)
    except Crash:
        driver.log.fail_after = None
        driver.crash()
        _retire(driver)


def _retire(driver: TopologyTestDriver) -> None:
    retirement = Retirement(driver.plan, driver._tables)
    for partition in range(PARTITIONS):
        retirement.load(partition)
    rows = retirement.due(driver.now)
    for address, row in rows.items():
        driver._tables.put(*address, row)
    driver._loop.run_until_complete(driver.write(rows))


def topic_of(name: str) -> str:
    """Return a topic's full name."""
    table = name.removeprefix("table:")
    return f"{WF}.{name}" if table == name else changelog_topic(WF, table)


def _extent(driver: TopologyTestDriver, layout: Layout, topic: str, partition: int) -> Extent:
    end = len(driver.log.topics[topic][partition])
    if layout.roles[topic] == "output":
        return Extent(0, end, end)
    committed = driver._committed.get((topic, partition)) if layout.roles[topic] in CONSUMED else None
    return Extent(0, end, committed)
