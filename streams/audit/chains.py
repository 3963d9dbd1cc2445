"""`audit verify`: the trail of every review, recomputed from the journals and held against the heads in the results.

A chain is: what was asked (`ReviewRequested`), what was submitted, what was decided (`Decided`), how the node ended. Each links to what
stood before it, and the run's result lists the head, so a record that was dropped, moved or altered shows, and so does a cut tail.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from schemas.chain import head_of, record_hash, shown_hash
from schemas.codec import CodecError, decode, loads
from schemas.records import (
    TERMINAL,
    Decided,
    Position,
    Refused,
    ReviewRequested,
    ReviewSubmitted,
    Terminal,
    TimedOut,
)
from streams.audit.layout import Layout
from streams.audit.snapshot import Entry, Extent, Place

REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a chain: `what` is altered, dropped or reordered; `at` is the record it shows at, None for a result's."""

    run_id: str
    node: str
    epoch: int
    what: str
    message: str
    at: Position | None

    @property
    def place(self) -> str:
        """Return where it shows."""
        return "" if self.at is None else f"{self.at.topic}/{self.at.partition}/{self.at.offset}"


@dataclass(frozen=True, slots=True)
class ChainReport:
    """How many chains were checked, what is wrong with them, and what could not be judged."""

    chains: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


Linked = ReviewRequested | ReviewSubmitted | Decided | Refused | TimedOut


@dataclass(slots=True)
class _Chain:
    """The records of one node of one run in one epoch, in the journal's order."""

    records: list[tuple[Linked, Position]] = field(default_factory=list)
    end: tuple[Terminal, Position] | None = None
    head: str | None = None
    result: Position | None = None

    @property
    def is_one(self) -> bool:
        """Say whether there is a review at all."""
        return self.head is not None or any(isinstance(record, ReviewRequested | Decided) for record, _ in self.records)


Key = tuple[str, str, int]


class ChainVerifier:
    """Takes records in any order between partitions, in the log's order within one; then `report` judges."""

    def __init__(self, layout: Layout, extents: Mapping[Place, Extent]) -> None:
        self._layout = layout
        self._extents = extents
        self._chains: dict[Key, _Chain] = {}
        self._submitted: defaultdict[tuple[str, str], set[Position]] = defaultdict(set)
        """Where what was submitted comes from, by run and node."""
        self._unreadable: list[Problem] = []
        self._reviewed: set[str] = set()

    def take(self, entry: Entry) -> None:
        """Take a record."""
        match self._layout.roles[entry.topic]:
            case "journal":
                self._on_journal(entry)
            case "output":
                self._on_result(entry)

    def report(self) -> ChainReport:
        """Judge what was taken."""
        chains = {key: chain for key, chain in self._chains.items() if chain.is_one}
        problems = [problem for problem in self._unreadable if problem.node in self._reviewed]
        cut = {p for (topic, p), e in self._extents.items() if e.begin > 0 and self._layout.has(topic, "journal")}
        for key, chain in sorted(chains.items()):
            first = chain.end or (chain.records[0] if chain.records else None)
            if first is None or first[1].partition not in cut:
                known = frozenset(self._submitted.get(key[:2], ()))
                problems += list(_Check(key, chain, known, self._extents).problems())
        notes = [f"partition {p}: the beginning of a journal is gone, not judged" for p in sorted(cut)]
        return ChainReport(len(chains), tuple(_first_of_each(problems)), tuple(notes))

    def _on_journal(self, entry: Entry) -> None:
        node = self._layout.node_of[entry.topic]
        try:
            record = decode(entry.value or b"")
        except CodecError as error:
            run_id = (entry.key or b"").decode(errors="replace")
            self._unreadable.append(Problem(run_id, node, -1, "altered", f"does not decode: {error}", entry.position))
            return
        if not isinstance(record, (ReviewRequested, ReviewSubmitted, Decided, Refused, TimedOut, *TERMINAL)):
            return
        if record.node != node or record.run_id.encode() != entry.key:
            said = f"it names run {record.run_id!r} and node {record.node!r}, its key is {entry.key!r}"
            run_id = (entry.key or b"").decode(errors="replace")
            self._unreadable.append(Problem(run_id, node, -1, "altered", said, entry.position))
            return
        if isinstance(record, ReviewRequested | ReviewSubmitted | Decided):
            self._reviewed.add(node)
        if isinstance(record, ReviewSubmitted):
            self._submitted[record.run_id, node].add(record.source)
        self._chain(record, entry.position)

    def _chain(self, record: Linked | Terminal, at: Position) -> None:
        epoch = record.epoch
        if isinstance(record, ReviewSubmitted | Refused):  # -1: the current one; a refusal names any
            epoch = self._current(record.run_id, record.node)
        chain = self._chains.setdefault((record.run_id, record.node, epoch), _Chain())
        if isinstance(record, TERMINAL):
            chain.end = chain.end or (record, at)
        else:
            chain.records.append((record, at))

    def _current(self, run_id: str, node: str) -> int:
        """Return the last epoch of the node that the journal knows up to here."""
        return max((e for r, n, e in self._chains if (r, n) == (run_id, node)), default=0)

    def _on_result(self, entry: Entry) -> None:
        try:
            body = loads(entry.value or b"")
        except ValueError:
            return  # the auditor says so
        heads = body.get("audit") if isinstance(body, dict) else None
        for node, head in heads.items() if isinstance(heads, dict) else ():
            nodes = body.get("nodes")
            reused = isinstance(nodes, dict) and isinstance(nodes.get(node), dict) and nodes[node].get("reused")
            key = (str(body.get("run_id")), str(node), int(body.get("epoch") or 0))
            if not reused:  # the chain is an earlier epoch's, and so is the result that counts for it
                chain = self._chains.setdefault(key, _Chain())
                chain.head, chain.result = str(head), chain.result or entry.position


def _hash_of(run_id: str, node: str, epoch: int, shown: str) -> str | None:
    """Return the hash of what is shown, None if that is no JSON."""
    try:
        return shown_hash(run_id, node, epoch, loads(shown))
    except (ValueError, TypeError):
        return None


def _firsts(found: Iterable[tuple[Decided, Position]]) -> list[tuple[Decided, Position]]:
    """Return each record where it stands first: after a crash the same one may be written again."""
    first: dict[str, tuple[Decided, Position]] = {}
    for record, at in found:
        first.setdefault(record_hash(record), (record, at))
    return list(first.values())


def _first_of_each(problems: list[Problem]) -> Iterator[Problem]:
    """Yield the first problem of each run and node: what follows from it is not another one."""
    seen: set[tuple[str, str]] = set()
    for problem in problems:
        if (problem.run_id, problem.node) not in seen:
            seen.add((problem.run_id, problem.node))
            yield problem


class _Check:
    """One chain, held against itself and against the head in the result."""

    def __init__(self, key: Key, chain: _Chain, known: frozenset[Position], extents: Mapping[Place, Extent]) -> None:
        self._key = key
        self._chain = chain
        self._extents = extents
        self._asked = [(r, at) for r, at in chain.records if isinstance(r, ReviewRequested)]
        self._decided = _firsts((r, at) for r, at in chain.records if isinstance(r, Decided))
        self._submitted = {r.source: (r, at) for r, at in chain.records if isinstance(r, ReviewSubmitted)}
        self._known = known

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong, the earliest cause first."""
        yield from self._requests()
        yield from self._decisions()
        yield from self._submissions()
        yield from self._end()

    def _problem(self, what: str, message: str, at: Position | None) -> Problem:
        return Problem(*self._key, what, message, at)

    def _requests(self) -> Iterator[Problem]:
        run_id, node, epoch = self._key
        known = {""}
        for record, at in self._asked:
            if record.hash != _hash_of(run_id, node, epoch, record.shown):
                yield self._problem("altered", "the ReviewRequested does not show what its hash names", at)
            elif record.previous not in known:
                what = self._lost(record.previous, at)
                yield self._problem(what, f"the ReviewRequested before this one was {what}", at)
            known.add(record_hash(record))
        if not self._asked and (self._decided or self._submitted or self._chain.head):
            shows = self._decided[0][1] if self._decided else self._chain.end[1] if self._chain.end else None
            yield self._problem("dropped", "the ReviewRequested is missing", shows)

    def _decisions(self) -> Iterator[Problem]:
        for record, at in self._decided:
            before = {record_hash(asked) for asked, where in self._asked if where.offset < at.offset}
            if record.previous not in before:
                what = self._lost(record.previous, at)
                culprit = "Decided" if what == "altered" and self._fits_with(record) else "ReviewRequested"
                yield self._problem(what, f"the {culprit} was {what}: the decision does not link to it", at)
            yield from self._source(record, at)

    def _lost(self, link: str, at: Position) -> str:
        """Say what became of the request that `link` names."""
        if any(record_hash(asked) == link for asked, where in self._asked if where.offset > at.offset):
            return "reordered"
        return "altered" if any(where.offset < at.offset for _, where in self._asked) else "dropped"

    def _fits_with(self, record: Decided) -> bool:
        """Say whether the head in the result is not that of the decision as it stands."""
        end = self._chain.end
        return end is not None and self._chain.head is not None and self._head(record, end[0]) != self._chain.head

    def _head(self, record: Decided, end: Terminal) -> str:
        return head_of(record_hash(record), end)

    def _source(self, record: Decided, at: Position) -> Iterator[Problem]:
        """Check a decision against what was submitted, or the alarm that went off."""
        if record.source is None:
            alarms = [r for r, where in self._chain.records if isinstance(r, TimedOut) and where.offset < at.offset]
            if not any((alarm.seq, alarm.due_at) == (record.seq, record.decided_at) for alarm in alarms):
                yield self._problem("altered", "no end of the time stands before this decision without a reviewer", at)
            return
        found = self._submitted.get(record.source)
        if found is None:
            yield self._problem(
                "dropped", "the ReviewSubmitted that this decision is of is missing, or was altered", at
            )
            return
        submitted, where = found
        said = (submitted.decision, submitted.reviewer, submitted.comment, submitted.edit, submitted.submitted_at)
        differs = said != (record.decision, record.reviewer, record.comment, record.edit, record.decided_at)
        if differs or record.submitted != record_hash(submitted):
            culprit = "Decided" if self._fits_with(record) else "ReviewSubmitted"
            yield self._problem("altered", f"the {culprit} was altered: decision and submission differ", at)
        elif submitted.hash not in (None, record.hash) or submitted.epoch not in (-1, record.epoch):
            yield self._problem("altered", "the ReviewSubmitted names something else than was decided on", where)
        elif record.hash not in {asked.hash for asked, _ in self._asked}:
            yield self._problem("altered", "the Decided names something that was never shown", at)
        elif where.offset > at.offset:
            yield self._problem("reordered", "the decision stands before the ReviewSubmitted it is of", at)
        elif any(record.previous == record_hash(asked) and where.offset < there.offset for asked, there in self._asked):
            yield self._problem("reordered", "the ReviewSubmitted stands before what it is an answer to", where)

    def _submissions(self) -> Iterator[Problem]:
        """Check that everything submitted was answered, and that every refusal is of something submitted."""
        decided = {record.source for record, _ in self._decided}
        refused: dict[Position, Position] = {}
        for record, at in self._chain.records:
            if isinstance(record, Refused) and record.command == REVIEW:
                refused.setdefault(record.source, at)  # a crash may have it written twice
        for source, (_, at) in self._submitted.items():
            if source not in decided and source not in refused and self._answered_by_now(at):
                yield self._problem("dropped", "the answer (Decided or Refused) to this ReviewSubmitted is missing", at)
        for source, answered in refused.items():
            if source not in self._known:
                yield self._problem("dropped", "the ReviewSubmitted that this refusal is of is missing", answered)
            if source in self._submitted and self._submitted[source][1].offset > answered.offset:
                yield self._problem("reordered", "the refusal stands before the ReviewSubmitted it is of", answered)

        yield from self._order(refused)

    def _answered_by_now(self, at: Position) -> bool:
        """Say whether the node's agent has had the record at `at`; where no group ever committed, after the run's result."""
        extent = self._extents.get((at.topic, at.partition))
        if extent is None or extent.committed is None:
            return self._chain.result is not None
        return extent.consumed(at.offset)

    def _order(self, refused: Mapping[Position, Position]) -> Iterator[Problem]:
        """Check that answers stand in the order of what they answer: the agent takes the journal record by record."""
        pairs = [(self._submitted[source][1], at) for source, at in refused.items() if source in self._submitted]
        ended = [at for at in (self._chain.end and self._chain.end[1],) if at is not None]
        for record, at in self._decided[:1]:
            cause = self._submitted.get(record.source) if record.source else None
            if cause is not None:
                pairs += [(cause[1], answer) for answer in (at, *ended)]
        pairs.sort(key=lambda pair: (pair[0].offset, pair[1].offset))
        for (_, before), (_, after) in pairwise(pairs):
            if after.offset < before.offset:
                yield self._problem("reordered", "this answer stands before one to an earlier submission", after)

    def _end(self) -> Iterator[Problem]:
        chain, end = self._chain, self._chain.end
        if end is None:
            if chain.head is not None:
                yield self._problem("dropped", "the end of the node is missing: the result has its hash", chain.result)
            return
        record, at = end
        if any(where.offset > at.offset for _, where in self._decided):
            yield self._problem("reordered", "the end of the node stands before the decision", at)
            return
        if chain.head is None:
            return  # the run's result is not written yet, or gone
        heads = {self._head(decided, record) for decided, _ in self._decided}
        if not self._decided:
            if type(record).__name__ in ("Succeeded", "Failed"):
                yield self._problem("dropped", "the Decided before this end is missing", at)
                return
            heads = {head_of(record_hash(asked), record) for asked, _ in self._asked}
        if chain.head not in heads:
            said = "this end of the node, or the head in the result, was altered"
            yield self._problem("altered", said, at)
