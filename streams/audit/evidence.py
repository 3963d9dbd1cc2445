"""Evidence: everything the checks need, taken record by record and kept small."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator, Mapping
from typing import cast

from schemas.codec import loads
from schemas.ids import ce_id
from schemas.records import (
    CancelRequested,
    EpochOpened,
    Finished,
    ItemStarted,
    LeaseRow,
    LedgerRow,
    NodeRecord,
    Position,
    RedriveRequested,
    Refused,
    ResultReceived,
    RetryScheduled,
    ReviewSubmitted,
    RunRecord,
    Started,
    WaiterRow,
)
from streams.audit.checks.limits import DAY, over_limit
from streams.audit.envelope import Envelope
from streams.audit.layout import Layout
from streams.audit.public import Cause, DeadLetter, Input, dead_letter_of, input_of, request_of, result_of
from streams.audit.report import Findings
from streams.audit.runs import RunStory, start_of
from streams.audit.snapshot import Entry, Extent, Place
from streams.audit.story import NodeStory
from streams.audit.tables import Changelog, Held
from topology import naming
from topology.items import base_of

LEASES = naming.leases_table("")
"""How the tables of leases end."""


class Evidence:
    """Takes records in any order between partitions. What is wrong with a record by itself is noted at once."""

    def __init__(self, layout: Layout, extents: Mapping[Place, Extent]) -> None:
        self.layout = layout
        self.extents = extents
        self.findings = Findings()
        self.runs: dict[str, RunStory] = {}
        self.inputs: dict[Cause, Input] = {}
        self.commands: dict[Cause, Input] = {}
        self.dead_letters: list[DeadLetter] = []
        self.scheduled: set[tuple[str, str, int, int, str]] = set()
        """(run, node, epoch, seq, kind) of everything that waits for time."""
        self._muted = Findings()
        self._foreground: tuple[str, ...] | None = None
        self._envelope = Envelope(layout, self.findings)
        self._changelogs: dict[Place, Changelog] = {}
        self._tables: dict[str, dict[str, Held]] = {}
        cut = {p for (topic, p), extent in extents.items() if extent.begin > 0 and layout.has(topic, "run", "journal")}
        self._cut = frozenset(cut)
        """Partitions whose journals have lost their beginning: nothing can be told of their runs."""

    def take(self, entry: Entry) -> None:
        """Take a record."""
        self.findings.figures.records += 1
        match self.layout.roles[entry.topic]:
            case "input":
                self.inputs[_cause_at(entry.position)] = input_of(entry)
            case "control":
                self.commands[_cause_at(entry.position)] = input_of(entry)
            case "changelog":
                self._on_changelog(entry)
            case "output":
                self._on_result(entry)
            case "requests":
                self._on_request(entry)
            case "lease":
                self._envelope.open_lease(entry)
            case "dead-letter":
                self.dead_letters.append(dead_letter_of(entry))
            case _:
                self._on_record(entry)

    # ---- what the checks ask ----------------------------------------------------------------------------------------

    def judged_runs(self) -> Iterator[RunStory]:
        """Yield the runs whose journals are whole."""
        return (run for run in self.runs.values() if run.judged)

    def settled_runs(self) -> Iterator[RunStory]:
        """Yield the runs of which every record is consumed: rows and results must be as the journals say."""
        return (run for run in self.judged_runs() if not run.unsettled)

    def foreground(self) -> tuple[str, ...]:
        """Return the nodes that results wait for: those one shows, for a workflow's structure is fixed; without any result all. Ask when all is taken."""
        if self._foreground is None:
            every = (result for run in self.judged_runs() for result in run.results)
            shown = next((loads(zlib.decompress(result.rest)).get("nodes") for result in every), None)
            known = self.layout.nodes
            self._foreground = tuple(n for n in known if n in shown) if isinstance(shown, dict) else known
        return self._foreground

    def table(self, topic: str) -> dict[str, Held]:
        """Return the rows of a changelog by key, those of partitions that are not judged left out; ask when all is taken."""
        if topic not in self._tables:
            places = [place for place in self._changelogs if place[0] == topic and place[1] not in self._cut]
            self._tables[topic] = {key: held for place in places for key, held in self._changelogs[place].rows()}
        return self._tables[topic]

    def changelogs(self) -> Iterator[Changelog]:
        """Yield every changelog partition that has records."""
        return iter(self._changelogs.values())

    def extent_of(self, topic: str, partition: int) -> Extent:
        """Return the extent of a partition, an empty one if the broker does not have it."""
        return self.extents.get((topic, partition)) or Extent(0, 0, None)

    def consumed(self, at: Position) -> bool:
        """Say whether the group has applied the record at `at`."""
        return self.extent_of(at.topic, at.partition).consumed(at.offset)

    def cut_short(self, *roles: str) -> bool:
        """Say whether any topic of these roles has lost its beginning to retention."""
        return any(
            extent.begin > 0 and self.layout.roles[topic] in roles for (topic, _), extent in self.extents.items()
        )

    # ---- records ----------------------------------------------------------------------------------------------------

    def _on_changelog(self, entry: Entry) -> None:
        place = (entry.topic, entry.partition)
        if place not in self._changelogs:
            self._changelogs[place] = Changelog(*place)
        key = self._changelogs[place].take(entry, self.findings)
        row = self._changelogs[place].row(key) if key is not None else None
        if isinstance(row, LeaseRow | WaiterRow):
            self._envelope.check_partition(row.key, entry)
        elif key is not None and not key.startswith(DAY) and not self.layout.table_of[entry.topic].endswith(LEASES):
            self._envelope.check_partition(key.split("/")[0], entry)  # a run id, or begins with one: those hold no "/"
        if isinstance(row, LedgerRow) and (wrong := over_limit(row)):
            self.findings.add("e.over-budget", entry.position, f"run {row.run_id!r}: {wrong}")

    def _on_record(self, entry: Entry) -> None:
        record = self._envelope.open(entry)
        if record is None:
            return
        at = entry.position
        run = self._run(record.run_id, entry)  # type: ignore[union-attr]
        run.unsettled = run.unsettled or not self.consumed(at)
        if isinstance(record, RetryScheduled):
            self.scheduled.add((run.run_id, record.node, record.epoch, record.seq, record.kind))
        elif isinstance(record, RunRecord):
            _on_run_record(run, record, at)
        else:
            found = cast("NodeRecord", record)
            if isinstance(found, ResultReceived | ReviewSubmitted):
                run.commands.append(found.source)
                return
            if isinstance(found, ItemStarted):
                run.nodes.setdefault((sys.intern(base_of(found.node)), found.epoch), NodeStory()).fanned = True
            story = run.nodes.setdefault((sys.intern(found.node), found.epoch), NodeStory())
            story.take(found, at, self.findings if run.judged else self._muted)

    def _on_result(self, entry: Entry) -> None:
        found = result_of(entry)
        if found is None:
            self.findings.add("g.undecodable", entry.position, "a result is a JSON object")
            return
        run_id, result = found
        if run_id is None or run_id.encode() != entry.key:
            self.findings.add("g.key", entry.position, f"the key is {entry.key!r}, the run id {run_id!r}")
            return
        self._envelope.check_partition(run_id, entry)
        epoch = result.epoch if isinstance(result.epoch, int) else -1
        self._envelope.check_ids(entry, ce_id(run_id, "run", epoch, 0, "Result"), "Result")
        self._run(run_id, entry).results.append(result)

    def _on_request(self, entry: Entry) -> None:
        found = request_of(entry)
        if found is None:
            self.findings.add("g.undecodable", entry.position, "a request is a JSON object that names its run and node")
            return
        if found.encode() != entry.key:
            self.findings.add("g.key", entry.position, f"the key is {entry.key!r}, the run id {found!r}")

    def _run(self, run_id: str, entry: Entry) -> RunStory:
        found = self.runs.get(run_id)
        if found is None:
            count = self.layout.topics[entry.topic]
            partition = self._envelope.partition_of(run_id.encode(), count)
            found = self.runs[sys.intern(run_id)] = RunStory(sys.intern(run_id), partition, partition not in self._cut)
        return found


def _on_run_record(run: RunStory, record: RunRecord, at: Position) -> None:
    match record:
        case Started():
            run.starts.append(start_of(record, at))
        case CancelRequested() | RedriveRequested() | Refused():
            run.commands.append(record.source)
        case EpochOpened():
            if all(record.epoch != known.epoch for known, _ in run.opened):
                run.opened.append((record, at))
        case Finished():
            run.finishes.append((record, at))


def _cause_at(at: Position) -> Cause:
    return (at.topic, at.partition, at.offset)
