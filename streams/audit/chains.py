"""`audit verify`: the trail of every review, recomputed from the journals and held against the heads in the results.

A chain is: what was asked (`ReviewRequested`), what was submitted, what was decided (`Decided`), how the node ended. Each links to what
stood before it, and the run's result lists the head, so a record that was dropped, moved or altered shows, and so does a cut tail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.codec import CodecError, decode, encode, loads
from schemas.records import TERMINAL, Decided, Refused, ReviewRequested, ReviewSubmitted, TimedOut
from streams.audit.chain_check import Head, Problem, Trail, problems_of
from streams.audit.layout import Layout
from streams.audit.snapshot import Entry, Extent, Place
from topology.items import base_of, index_of

KINDS = (ReviewRequested, ReviewSubmitted, Decided, Refused, TimedOut, *TERMINAL)
HEAD_BYTES = 5
"""Magic and schema id."""
UNREAD = None
"""The epoch of what cannot be read."""

Key = tuple[str, str]
"""A run and a node."""


@dataclass(frozen=True, slots=True)
class ChainReport:
    """How many chains were checked, what is wrong with them, and what could not be judged."""

    chains: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


class ChainVerifier:
    """Takes records in any order between partitions, in the log's order within one; then `report` judges."""

    def __init__(self, layout: Layout, extents: Mapping[Place, Extent]) -> None:
        self._layout = layout
        self._extents = extents
        self._trails: dict[Key, Trail] = {}
        self._unreadable: list[Problem] = []
        self._bad_results: list[Problem] = []
        self._results: set[tuple[str, int]] = set()

    def take(self, entry: Entry) -> None:
        """Take a record."""
        match self._layout.roles[entry.topic]:
            case "journal":
                self._on_journal(entry)
            case "output":
                self._on_result(entry)

    def report(self) -> ChainReport:
        """Judge what was taken."""
        trails = {key: trail for key, trail in sorted(self._trails.items()) if trail.is_review}
        cut = {key for key, trail in trails.items() if self._is_cut(key, trail)}
        judged = {key: trail for key, trail in trails.items() if key not in cut}
        reviewed = {run_id for run_id, _ in trails}
        found = self._unreadable + [problem for problem in self._bad_results if problem.run_id in reviewed]
        for key, trail in judged.items():
            found += problems_of(*key, trail, self._extents)
        unsealed = sum(len(trail.epochs - trail.heads.keys()) for trail in judged.values())
        chains = sum(len(trail.epochs) for trail in judged.values())
        return ChainReport(chains, tuple(self._first_of_each(found)), tuple(self._notes(cut, unsealed)))

    def _notes(self, cut: set[Key], unsealed: int) -> Iterator[str]:
        if cut:
            yield f"{len(cut)} not judged: retention has cut their journals at the beginning"
        if unsealed:
            yield f"{unsealed} without a result yet, or any more: whether their last record is altered or cut off cannot be told"

    def _is_cut(self, key: Key, trail: Trail) -> bool:
        """Say whether retention may have taken the beginning: it cuts from the front, so with the first request there is all."""
        journal = next(topic for topic, node in self._layout.node_of.items() if node == key[1])
        partition = self._layout.partition_of(key[0].encode(), self._layout.topics[journal])
        extent = self._extents.get((journal, partition))
        if extent is None or extent.begin == 0:
            return False
        first = next((r for r, _ in trail.records if not isinstance(r, ReviewSubmitted | Refused)), None)
        return not (isinstance(first, ReviewRequested) and first.previous == "")

    def _first_of_each(self, problems: list[Problem]) -> Iterator[Problem]:
        """Yield the first problem of each run and node: what follows from it is not another one, least of all in the result."""
        seen: set[Key] = set()
        runs = {problem.run_id for problem in problems if problem.node}
        for problem in sorted(problems, key=self._place):
            if (problem.run_id, problem.node) not in seen and (problem.node or problem.run_id not in runs):
                seen.add((problem.run_id, problem.node))
                yield problem

    def _place(self, problem: Problem) -> tuple[str, str, bool, bool, int]:
        """Return what problems are sorted by: what cannot be read explains what is missing."""
        at, read = problem.at, problem.epoch is not UNREAD
        return problem.run_id, problem.node, not self._layout.has(at.topic, "journal"), read, at.offset

    # ---- journals ---------------------------------------------------------------------------------------------------

    def _on_journal(self, entry: Entry) -> None:
        node, value = self._layout.node_of[entry.topic], entry.value or b""
        try:
            record: Any = decode(value)
        except CodecError as error:
            self._altered(entry, f"does not decode: {error}")
            return
        if not isinstance(record, KINDS) or (index_of(record.node) is not None and base_of(record.node) == node):
            return  # of an item: nobody reviews one
        written = encode(record)
        if record.node != node or record.run_id.encode() != entry.key:
            self._altered(entry, f"it names run {record.run_id!r} and node {record.node!r}, its key is {entry.key!r}")
        elif written != value and written[:HEAD_BYTES] == value[:HEAD_BYTES]:
            self._altered(entry, f"the bytes of this {type(record).__name__} are not as they are written")
        self._trail((entry.key or b"").decode(errors="replace"), node).records.append((record, entry.position))

    def _altered(self, entry: Entry, message: str) -> None:
        run_id = (entry.key or b"").decode(errors="replace")
        node = self._layout.node_of[entry.topic]
        self._unreadable.append(Problem(run_id, node, UNREAD, "altered", message, entry.position))

    def _trail(self, run_id: str, node: str) -> Trail:
        return self._trails.setdefault((run_id, node), Trail())

    # ---- results ----------------------------------------------------------------------------------------------------

    def _on_result(self, entry: Entry) -> None:
        run_id = (entry.key or b"").decode(errors="replace")
        found = _result(entry.value or b"")
        if isinstance(found, str):
            self._bad_results.append(Problem(run_id, "", UNREAD, "altered", f"the result: {found}", entry.position))
            return
        epoch, ran, heads = found
        if (run_id, epoch) in self._results:
            return  # written again after a crash
        self._results.add((run_id, epoch))
        for node in ran.intersection(self._layout.nodes):
            self._trail(run_id, node).heads[epoch] = Head(heads.get(node), entry.position)


def _result(value: bytes) -> tuple[int, set[str], dict[str, str]] | str:
    """Return a result's epoch, the nodes that ran in it, and its heads; or why it is none.

    A node that did not run has the chain of an earlier epoch, whose result counts for it.
    """
    try:
        body = loads(value)
        epoch, nodes, heads = body["epoch"], body["nodes"], body.get("audit", {})
        ran = {node for node, of in nodes.items() if not of["reused"]}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    if not isinstance(epoch, int) or not isinstance(heads, dict) or not all(isinstance(h, str) for h in heads.values()):
        return "its epoch, or what it lists under audit, is not what a result has"
    if not heads.keys() <= nodes.keys():
        return "it lists the chain of a node that it does not have"
    return epoch, ran, heads
