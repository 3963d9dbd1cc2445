"""(f) and (g): a record decodes, belongs in its topic and partition, and has the deterministic id of what it says."""

from __future__ import annotations

from typing import Any, TypeGuard, get_args

from schemas import headers as names
from schemas.codec import CodecError, decode
from schemas.headers import header
from schemas.ids import ce_id
from schemas.records import (
    CallLost,
    EpochOpened,
    LeaseRequested,
    LeaseReturned,
    NodeRecord,
    Record,
    RedriveRequested,
    Refused,
    ResultReceived,
    RetryScheduled,
    ReviewSubmitted,
    RunRecord,
)
from streams.audit.layout import Layout
from streams.audit.report import Findings
from streams.audit.snapshot import Entry
from topology.items import base_of

RUN_RECORDS = get_args(RunRecord)
NODE_RECORDS = tuple(arm for part in get_args(NodeRecord) for arm in (get_args(part) or (part,)))


class Envelope:
    """Opens the records of journals and of the retry topic, and checks on the way."""

    def __init__(self, layout: Layout, findings: Findings) -> None:
        self._layout = layout
        self._findings = findings
        self._partition: dict[tuple[bytes, int], int] = {}

    def open(self, entry: Entry) -> Record | None:
        """Return the record if it can be judged any further, else None."""
        try:
            record: Any = decode(entry.value or b"")
        except CodecError as error:
            self._findings.add("g.undecodable", entry.position, str(error))
            return None
        if not self._belongs(record, entry):
            self._findings.add(
                "g.misplaced", entry.position, f"a {type(record).__name__} does not belong in this topic"
            )
            return None
        if record.run_id.encode() != entry.key:
            self._findings.add("g.key", entry.position, f"the key is {entry.key!r}, the run id {record.run_id!r}")
            return None
        self.check_partition(record.run_id, entry)
        self._check_identity(record, entry)
        return record  # type: ignore[no-any-return]

    def open_lease(self, entry: Entry) -> None:
        """Check a record of a topic where keys of work meet."""
        try:
            record: Any = decode(entry.value or b"")
        except CodecError as error:
            self._findings.add("g.undecodable", entry.position, str(error))
            return
        if not isinstance(record, LeaseRequested | LeaseReturned):
            message = f"a {type(record).__name__} does not belong in this topic"
            self._findings.add("g.misplaced", entry.position, message)
        elif record.key.encode() != entry.key:
            self._findings.add("g.key", entry.position, f"the key is {entry.key!r}, the work's {record.key!r}")
        else:
            self.check_partition(record.key, entry)
            self._check_identity(record, entry)

    def check_partition(self, run_id: str, entry: Entry) -> None:
        """Check that a record of `run_id` is where the run is."""
        wanted = self.partition_of(run_id.encode(), self._layout.topics[entry.topic])
        if wanted != entry.partition:
            self._findings.add("f.partition", entry.position, f"run {run_id!r} belongs in partition {wanted}")

    def partition_of(self, key: bytes, count: int) -> int:
        """Return a key's partition; remembered, for a run has many records."""
        found = self._partition.get((key, count))
        if found is None:
            found = self._partition[(key, count)] = self._layout.partition_of(key, count)
        return found

    def check_ids(self, entry: Entry, wanted_id: str, wanted_type: str) -> None:
        """Check `ce_id` and `ce_type`."""
        found = header(entry.headers, names.CE_ID)
        if found != wanted_id:
            self._findings.add("g.ce-id", entry.position, f"ce_id is {found!r}, should be {wanted_id!r}")
        found = header(entry.headers, names.CE_TYPE)
        if found != wanted_type:
            self._findings.add("g.ce-type", entry.position, f"ce_type is {found!r}, should be {wanted_type!r}")

    def _belongs(self, record: object, entry: Entry) -> bool:
        match self._layout.roles[entry.topic]:
            case "run":
                return isinstance(record, RUN_RECORDS)
            case "journal":
                return _is_of_node(record) and base_of(record.node) == self._layout.node_of[entry.topic]
            case "retry":
                return isinstance(record, RetryScheduled) and base_of(record.node) in self._layout.nodes
            case _:
                return False

    def _check_identity(self, record: Any, entry: Entry) -> None:
        kind = type(record).__name__
        node, epoch, seq = getattr(record, "node", "run"), getattr(record, "epoch", 0), getattr(record, "seq", 0)
        match record:
            case RedriveRequested() | Refused() | ReviewSubmitted() | ResultReceived():
                at = record.source
                wanted = f"{record.run_id}/{node}/{at.topic}/{at.partition}/{at.offset}/{kind}"
            case EpochOpened():
                wanted = ce_id(record.run_id, "run", epoch, seq, kind)
            case CallLost():
                wanted = ce_id(record.run_id, node, epoch, seq, kind, index=record.launch)
            case _:
                wanted = ce_id(record.run_id, node, epoch, seq, kind)
        self.check_ids(entry, wanted, kind)


def _is_of_node(record: object) -> TypeGuard[NodeRecord]:
    return isinstance(record, NODE_RECORDS)
