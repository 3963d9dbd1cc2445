"""One node's reviews in one run, held against each other and against the heads in the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from schemas.chain import head_of, record_hash, shown_hash
from schemas.codec import loads
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
from streams.audit.snapshot import Extent, Place

REVIEW = "review"

Kept = ReviewRequested | ReviewSubmitted | Decided | Refused | TimedOut | Terminal
Asked = tuple[ReviewRequested, Position]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a chain: `what` is altered, dropped or reordered; `at` is the record it shows at."""

    run_id: str
    node: str
    epoch: int | None
    what: str
    message: str
    at: Position

    @property
    def place(self) -> str:
        """Return where it shows."""
        return f"{self.at.topic}/{self.at.partition}/{self.at.offset}"


@dataclass(frozen=True, slots=True)
class Head:
    """What a result says of the chain of an epoch, and where it stands."""

    hash: str | None
    at: Position


@dataclass(slots=True)
class Trail:
    """The records of one node of one run in the journal's order, and the heads that results list, by epoch."""

    records: list[tuple[Kept, Position]] = field(default_factory=list)
    heads: dict[int, Head] = field(default_factory=dict)

    @property
    def is_review(self) -> bool:
        """Say whether there is a review at all."""
        chained = any(isinstance(record, ReviewRequested | ReviewSubmitted | Decided) for record, _ in self.records)
        return chained or any(head.hash is not None for head in self.heads.values())

    @property
    def epochs(self) -> set[int]:
        """Return the epochs that have a chain."""
        linked = {record.epoch for record, _ in self.records if isinstance(record, ReviewRequested | Decided)}
        return linked | {epoch for epoch, head in self.heads.items() if head.hash is not None}


def problems_of(run_id: str, node: str, trail: Trail, extents: Mapping[Place, Extent]) -> list[Problem]:
    """Return what is wrong with a trail."""
    check = _Check(run_id, node, trail, extents)
    return [*check.requests(), *check.decisions(), *check.submissions(), *check.ends()]


class _Check:
    def __init__(self, run_id: str, node: str, trail: Trail, extents: Mapping[Place, Extent]) -> None:
        self._run_id, self._node = run_id, node
        self._extents, self._heads = extents, trail.heads
        self._epochs = sorted(trail.epochs)
        self._records = trail.records
        self._asked = [(r, at) for r, at in trail.records if isinstance(r, ReviewRequested)]
        self._decided = [(r, at) for r, at in trail.records if isinstance(r, Decided)]
        self._linked: list[tuple[ReviewRequested | Decided, Position]] = [*self._asked, *self._decided]
        self._submitted = [(r, at) for r, at in trail.records if isinstance(r, ReviewSubmitted)]
        self._refused = [(r, at) for r, at in trail.records if isinstance(r, Refused) and r.command == REVIEW]
        self._ends: dict[int, tuple[Terminal, Position]] = {}
        for record, at in trail.records:
            if isinstance(record, TERMINAL):
                self._ends.setdefault(record.epoch, (record, at))

    def _problem(self, epoch: int, what: str, message: str, at: Position) -> Problem:
        return Problem(self._run_id, self._node, epoch, what, message, at)

    # ---- what was asked ---------------------------------------------------------------------------------------------

    def requests(self) -> Iterator[Problem]:
        """Check that what was shown is what the hash names, and that each request links to the one before it."""
        for record, at in self._asked:
            if not _shows_what_it_names(record):
                yield self._problem(
                    record.epoch, "altered", "this ReviewRequested does not show what its hash names", at
                )
            elif (record.previous == "") != (record.escalation == 0):
                yield self._problem(
                    record.epoch, "altered", "this ReviewRequested cannot be the first of its chain", at
                )
            elif record.previous:
                lost = [*self._link(record.epoch, record.previous, record.seq - 1, at)]
                if lost and self._is_disowned(record):
                    lost = [self._problem(record.epoch, "altered", "this ReviewRequested: nothing links to it", at)]
                yield from lost

    def _link(self, epoch: int, previous: str, seq: int, at: Position) -> Iterator[Problem]:
        """Check that the request that `previous` names, of that `seq`, stands before `at`; say what became of it if not."""
        linked = [where for asked, where in self._asked if record_hash(asked) == previous]
        if any(where.offset < at.offset for where in linked):
            return
        if linked:
            yield self._problem(epoch, "reordered", "this stands before the ReviewRequested that it links to", at)
            return
        meant = [where for asked, where in self._asked if where != at and self._may_be(asked, epoch, seq)]
        if meant:
            said = "this ReviewRequested was altered, or what links to it"
            yield self._problem(epoch, "altered", said, min(meant[0], at, key=lambda p: p.offset))
        else:
            yield self._problem(epoch, "dropped", "the ReviewRequested that this links to is missing", at)

    def _is_disowned(self, asked: ReviewRequested) -> bool:
        """Say whether a decision was made on the request and does not link to it as it stands."""
        links = {r.previous for r, _ in self._decided if (r.epoch, r.seq) == (asked.epoch, asked.seq)}
        return bool(links) and record_hash(asked) not in links

    def _may_be(self, asked: ReviewRequested, epoch: int, seq: int) -> bool:
        """Say whether a request that nothing links to is what was linked to, altered: one of another seq was not escalated."""
        named = record_hash(asked)
        if asked.epoch != epoch or any(r.previous == named for r, _ in self._linked):
            return False
        over = {r.seq for r, _ in self._records if isinstance(r, TimedOut) and r.epoch == epoch}
        return asked.seq == seq or asked.seq not in over

    # ---- what was decided -------------------------------------------------------------------------------------------

    def decisions(self) -> Iterator[Problem]:
        """Check every decision against the request it links to and against what was submitted, or the end of the time."""
        for record, at in self._decided:
            found = [*self._link(record.epoch, record.previous, record.seq, at), *self._bounds(record, at)]
            found += self._time_out(record, at) if record.source is None else self._source(record, at)
            if found and self._is_forged(record):
                found = [self._problem(record.epoch, "altered", "this Decided is not the one in the result's head", at)]
            yield from found

    def _is_forged(self, record: Decided) -> bool:
        """Say whether the head shows that a decision is not as it was; where there is none yet, nobody can tell."""
        end, head = self._ends.get(record.epoch), self._heads.get(record.epoch)
        return end is not None and head is not None and head_of(record_hash(record), end[0]) != head.hash

    def _bounds(self, record: Decided, at: Position) -> Iterator[Problem]:
        asked = next((r for r, _ in self._asked if record_hash(r) == record.previous), None)
        known = asked is not None and (asked.epoch, asked.seq, asked.hash) == (record.epoch, record.seq, record.hash)
        if asked is not None and not known:
            yield self._problem(record.epoch, "altered", "this Decided is not of the request that it links to", at)

    def _time_out(self, record: Decided, at: Position) -> Iterator[Problem]:
        alarms = [r for r, where in self._records if isinstance(r, TimedOut) and where.offset < at.offset]
        rings = any((r.epoch, r.seq, r.due_at) == (record.epoch, record.seq, record.decided_at) for r in alarms)
        said = (record.reviewer, record.comment, record.edit, record.submitted)
        if not rings or said != (None, None, None, None):
            yield self._problem(record.epoch, "altered", "this Decided names nobody, and no time ended for it", at)

    def _source(self, record: Decided, at: Position) -> Iterator[Problem]:
        copies = [(r, where) for r, where in self._submitted if record_hash(r) == record.submitted]
        before = [where for _, where in copies if where.offset < at.offset]
        if not copies:
            yield self._without_submission(record, at)
        elif not _says_the_same(copies[0][0], record):
            yield self._problem(record.epoch, "altered", "this Decided differs from what was submitted", at)
        elif not before:
            yield self._problem(
                record.epoch, "reordered", "this Decided stands before the ReviewSubmitted it is of", at
            )
        else:
            asked = [where for r, where in self._asked if record_hash(r) == record.previous]
            if asked and before[-1].offset < asked[0].offset:
                said = "this ReviewSubmitted stands before what it is an answer to"
                yield self._problem(record.epoch, "reordered", said, before[-1])

    def _without_submission(self, record: Decided, at: Position) -> Problem:
        """Say whether the submission was altered or is gone: one that nobody answered is it, altered."""
        of_source = [where for r, where in self._submitted if r.source == record.source]
        answered = {r.source for r, _ in self._decided} | {r.source for r, _ in self._refused}
        lone = of_source or [where for r, where in self._submitted if r.source not in answered]
        if lone:
            said = "this ReviewSubmitted was altered, or the Decided that is of it"
            return self._problem(record.epoch, "altered", said, min(lone[0], at, key=lambda p: p.offset))
        return self._problem(record.epoch, "dropped", "the ReviewSubmitted that this Decided is of is missing", at)

    # ---- what was submitted -----------------------------------------------------------------------------------------

    def submissions(self) -> Iterator[Problem]:
        """Check that everything submitted was answered, after it, and that every refusal is of something submitted."""
        sources = {r.source for r, _ in self._submitted}
        for refused, at in self._refused:
            if refused.source not in sources:
                said = "the ReviewSubmitted that this refusal is of is missing"
                yield self._problem(refused.epoch, "dropped", said, at)
        decided, linked = {r.source for r, _ in self._decided}, {r.submitted for r, _ in self._decided}
        for record, at in self._submitted:
            answers = [where for r, where in self._refused if r.source == record.source]
            extent = self._extents.get((at.topic, at.partition))
            known = record.source in decided or record_hash(record) in linked
            if known or any(where.offset > at.offset for where in answers):
                continue
            first = next(where for r, where in self._submitted if r.source == record.source)
            if answers and first == at:
                said = "the refusal stands before the ReviewSubmitted it is of"
                yield self._problem(self._epoch_at(record, at), "reordered", said, answers[0])
            elif first == at and extent is not None and extent.consumed(at.offset):
                said = "the answer (Decided or Refused) to this ReviewSubmitted is missing"
                yield self._problem(self._epoch_at(record, at), "dropped", said, at)

    def _epoch_at(self, record: ReviewSubmitted, at: Position) -> int:
        """Return the epoch that a submission names, or the one it finds."""
        found = [asked.epoch for asked, where in self._asked if where.offset < at.offset]
        return record.epoch if record.epoch >= 0 or not found else found[-1]

    # ---- how it ended -----------------------------------------------------------------------------------------------

    def ends(self) -> Iterator[Problem]:
        """Check each epoch's end against the head in its result."""
        for epoch in self._epochs:
            end, head = self._ends.get(epoch), self._heads.get(epoch)
            if end is not None:
                yield from self._order(epoch, end[1])
                yield from self._end(epoch, *end, head)
            elif head is not None:
                yield self._endless(epoch, head)

    def _order(self, epoch: int, end: Position) -> Iterator[Problem]:
        """Check that the end stands after the decision, and before whatever a later epoch asked and decided."""
        decided = [at for r, at in self._decided if r.epoch == epoch]
        if decided and decided[0].offset > end.offset:
            yield self._problem(epoch, "reordered", "the end of the node stands before the decision", end)
        linked = [at for r, at in self._linked if r.epoch > epoch and at.offset < end.offset]
        if linked:
            yield self._problem(epoch, "reordered", "this stands before the end of an earlier epoch", linked[0])

    def _end(self, epoch: int, end: Terminal, at: Position, head: Head | None) -> Iterator[Problem]:
        asked = [r for r, where in self._asked if r.epoch == epoch and where.offset < at.offset]
        decided = [r for r, _ in self._decided if r.epoch == epoch]
        of_review = type(end).__name__ in ("Succeeded", "Failed") and end.seq in {r.seq for r in asked}
        if of_review and not decided:
            yield self._problem(epoch, "dropped", "the Decided before this end is missing", at)
        if head is None:
            return  # the run's result is not written yet, or gone
        chain = self._folded(epoch, at)
        if chain is None and head.hash is not None:
            yield self._problem(epoch, "dropped", "the ReviewRequested before this end is missing", at)
        elif chain is not None and head.hash is None:
            yield self._problem(epoch, "altered", "the result does not list the head of this chain", head.at)
        elif chain is not None and head_of(chain, end) != head.hash:
            yield self._problem(
                epoch, "altered", "this end of the node, what leads to it, or the head in the result", at
            )

    def _folded(self, epoch: int, end: Position) -> str | None:
        """Return the hash of the last record before the end that links to the one before it."""
        chain = None
        for record, at in self._records:
            linked = isinstance(record, ReviewRequested | Decided) and record.epoch == epoch and at.offset < end.offset
            if linked and record.previous == (chain or ""):  # type: ignore[union-attr]
                chain = record_hash(record)  # type: ignore[arg-type]
        return chain

    def _endless(self, epoch: int, head: Head) -> Problem:
        """Say where the end of an epoch went that has a result."""
        for record, at in self._records:
            if isinstance(record, TERMINAL) and record.epoch not in self._heads:
                chain = self._folded(epoch, at)
                if chain is not None and head_of(chain, replace(record, epoch=epoch)) == head.hash:
                    return self._problem(epoch, "altered", "this end of the node names another epoch", at)
        return self._problem(epoch, "dropped", "the end of the node is missing: the result has its hash", head.at)


def _shows_what_it_names(record: ReviewRequested) -> bool:
    try:
        shown = loads(record.shown)
    except ValueError:
        return False
    return record.hash == shown_hash(record.run_id, record.node, record.epoch, shown)


def _says_the_same(submitted: ReviewSubmitted, decided: Decided) -> bool:
    """Say whether a decision is what was submitted, and of what the submission named."""
    said = (submitted.decision, submitted.reviewer, submitted.comment, submitted.edit, submitted.submitted_at)
    if said != (decided.decision, decided.reviewer, decided.comment, decided.edit, decided.decided_at):
        return False
    named = submitted.hash in (None, decided.hash) and submitted.epoch in (-1, decided.epoch)
    return named and submitted.source == decided.source
