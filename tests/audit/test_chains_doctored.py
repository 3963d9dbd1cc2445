"""The trail of reviews: an honest one verifies, and whatever is dropped, swapped or altered in it is found and named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pytest

from schemas.codec import decode, dumps, loads
from schemas.records import TERMINAL, Decided, Position, Refused, ReviewRequested, ReviewSubmitted
from streams.audit.chains import ChainReport, ChainVerifier
from streams.audit.snapshot import Entry
from streams.testing import SEAMS
from tests.audit.logs import STORIES, log_of
from tests.audit.memory import Doctored

LINKED = (ReviewRequested, ReviewSubmitted, Decided, *TERMINAL)
REVIEWED = (
    "approved",
    "approved with an edit",
    "rejected",
    "not decided, so rejected",
    "not decided, so approved",
    "escalated, then approved",
    "escalated in vain",
    "in doubt, approved with an edit",
    "rejected, and asked again",
)


def verify(log: Doctored) -> ChainReport:
    """Verify what is in a log."""
    verifier = ChainVerifier(log.layout, log.extents)
    for entry in sorted(log.entries, key=lambda e: e.offset):
        verifier.take(entry)
    return verifier.report()


def trail(log: Doctored) -> list[Entry]:
    """Return the records of the chain of node b, those of its submissions among them."""
    records = [(entry, decode(entry.value or b"")) for entry in log.of("b")]
    refused = {record.source for _, record in records if isinstance(record, Refused)}
    found = [e for e, r in records if isinstance(r, LINKED) and getattr(r, "source", None) not in refused]
    ends = [entry for entry in found if isinstance(decode(entry.value or b""), TERMINAL)]
    epochs = {decode(entry.value or b"").epoch for entry in ends}  # type: ignore[union-attr]
    assert len(ends) == len(epochs)
    return found


def place(entry: Entry) -> Position:
    """Return where an entry stands."""
    return entry.position


@pytest.mark.parametrize("name", STORIES)
def test_honest_trails_verify(name: str) -> None:
    report = verify(log_of(name))
    assert report.problems == ()
    assert (report.chains > 0) == any(isinstance(decode(e.value or b""), ReviewRequested) for e in log_of(name).of("b"))


REVIEWS = [
    name
    for name in STORIES
    if any(isinstance(decode(e.value or b""), ReviewRequested | ReviewSubmitted) for e in log_of(name).of("b"))
]


@pytest.mark.parametrize("name", REVIEWS)
def test_so_do_those_of_crashes(name: str) -> None:
    for at in range(len(STORIES[name].steps)):
        for seam in SEAMS:
            assert verify(STORIES[name].log(seam=seam, at=at)).problems == (), f"step {at}, {seam}"
        for appends in range(30):
            assert verify(STORIES[name].log(appends=appends, at=at)).problems == (), f"step {at}, {appends} appends"


@pytest.mark.parametrize("name", REVIEWED)
def test_a_dropped_record_is_found(name: str) -> None:
    for entry in trail(log_of(name)):
        log = log_of(name)
        log.drop(entry)
        (problem,) = verify(log).problems
        kind = type(decode(entry.value or b"")).__name__
        assert (problem.run_id, problem.node, problem.what) == ("r1", "b", "dropped"), (kind, problem)


@pytest.mark.parametrize("name", REVIEWED)
def test_two_swapped_records_are_found(name: str) -> None:
    for one, other in combinations(trail(log_of(name)), 2):
        log = log_of(name)
        log.put(one, value=other.value)
        log.put(other, value=one.value)
        (problem,) = verify(log).problems
        kinds = [type(decode(e.value or b"")).__name__ for e in (one, other)]
        assert problem.what == "reordered", (kinds, problem)


def flipped(value: bytes) -> Iterator[bytes]:
    """Yield the value with one byte changed, each in turn and in two ways."""
    for index, byte in enumerate(value):
        for mask in (1, 0x20):
            yield value[:index] + bytes([byte ^ mask]) + value[index + 1 :]


@pytest.mark.parametrize("name", REVIEWED)
def test_one_changed_byte_is_found(name: str) -> None:
    missed = []
    for entry in trail(log_of(name)):
        for value in flipped(entry.value or b""):
            log = log_of(name)
            log.put(entry, value=value)
            problems = verify(log).problems
            same_schema = (
                value[:5] == (entry.value or b"")[:5]
            )  # of another schema it is another record: this one is gone
            if not problems or (same_schema and problems[0].what != "altered"):
                missed.append((type(decode(entry.value or b"")).__name__, value, problems))
    assert missed == []


@pytest.mark.parametrize("name", REVIEWED)
def test_a_changed_head_in_the_result_is_found(name: str) -> None:
    for entry in log_of(name).of("output"):
        body = loads(entry.value or b"")
        for audit in ({"b": "0" * 64}, {"b": None}, {"x": body["audit"]["b"]}, {}, None, [1]):
            log = log_of(name)
            log.put(entry, value=dumps({**body, "audit": audit}).encode())
            (problem,) = verify(log).problems
            assert problem.what in ("altered", "dropped")


def test_what_retention_cut_is_told_and_not_judged() -> None:
    log = log_of("approved")
    first, *_ = trail(log)
    log.drop(first)
    log.extents[first.topic, first.partition] = replace(
        log.extents[first.topic, first.partition], begin=first.offset + 1
    )
    report = verify(log)
    assert report.problems == ()
    assert report.chains == 0
    assert report.notes == ("1 not judged: retention has cut their journals at the beginning",)


def test_a_cut_before_a_chain_excuses_nothing_in_it() -> None:
    log = log_of("approved")
    asked, submitted, *_ = trail(log)  # pretend that something stood before it
    log.extents[asked.topic, asked.partition] = replace(log.extents[asked.topic, asked.partition], begin=1)
    log.drop(submitted)
    assert [problem.what for problem in verify(log).problems] == ["dropped"]


def test_chains_without_a_result_are_told() -> None:
    report = verify(log_of("under review"))
    assert (report.problems, report.chains) == ((), 1)
    assert [note.split(" ", 2)[:2] for note in report.notes] == [["1", "without"]]


def test_a_result_that_cannot_be_read_is_altered() -> None:
    log = log_of("approved")
    (result,) = log.of("output")
    log.put(result, value=(result.value or b"")[:-1])
    (problem,) = verify(log).problems
    assert (problem.run_id, problem.what, problem.at) == ("r1", "altered", result.position)
