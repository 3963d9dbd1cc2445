"""The trail of reviews: honest logs verify, and whatever is done to one of its records shows, and where."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from schemas.codec import decode, encode
from schemas.records import Decided, Failed, Position, Refused, ReviewRequested, ReviewSubmitted, Succeeded
from streams.audit.chains import ChainReport, ChainVerifier
from streams.audit.snapshot import Entry
from streams.testing import SEAMS
from tests.audit.logs import STORIES, log_of
from tests.audit.memory import Doctored

REVIEWED = [
    name
    for name in STORIES
    if any(word in name for word in ("approved", "rejected", "decided", "escalated", "review", "doubt"))
]
TRAIL = (ReviewRequested, ReviewSubmitted, Decided, Refused, Succeeded, Failed)
JOURNAL = "wf.b"


def verified(log: Doctored) -> ChainReport:
    verifier = ChainVerifier(log.layout, log.extents)
    for entry in log.entries:
        verifier.take(entry)
    return verifier.report()


def trail(log: Doctored) -> list[Entry]:
    return [e for e in log.entries if e.topic == JOURNAL and isinstance(decode(e.value or b""), TRAIL)]


@pytest.mark.parametrize("name", REVIEWED)
def test_an_honest_log_verifies(name: str) -> None:
    report = verified(log_of(name))
    assert (report.problems, report.chains > 0) == ((), True)


@pytest.mark.parametrize("seam", SEAMS)
@pytest.mark.parametrize("name", REVIEWED)
def test_so_does_one_with_crashes(name: str, seam: str) -> None:
    for at in range(len(STORIES[name].steps)):
        assert verified(STORIES[name].log(seam=seam, at=at)).problems == (), f"step {at}"
        for appends in range(0, 24, 2):
            assert verified(STORIES[name].log(appends=appends, at=at)).problems == (), f"step {at}, {appends} appends"


ENDED = [name for name in REVIEWED if name not in ("under review", "rejected, and asked again")]


@pytest.mark.parametrize("name", ENDED)
def test_a_record_that_was_dropped_shows(name: str) -> None:
    for entry in trail(log_of(name)):
        log = log_of(name)
        log.entries.remove(entry)
        assert [problem.run_id for problem in verified(log).problems] == ["r1"], decode(entry.value or b"")


@pytest.mark.parametrize("name", ENDED)
def test_two_records_that_were_swapped_show(name: str) -> None:
    found = trail(log_of(name))
    for one, other in pairwise(found):
        log = log_of(name)
        at, beside = log.entries.index(one), log.entries.index(other)
        log.entries[at] = replace(other, offset=one.offset)
        log.entries[beside] = replace(one, offset=other.offset)
        assert verified(log).problems or not {_source(one), _source(other)}.isdisjoint(refused(log)), (one, other)


@pytest.mark.parametrize("name", ENDED)
def test_a_byte_that_was_changed_shows(name: str) -> None:
    aside = refused(log_of(name))
    for entry in trail(log_of(name)):
        for position in range(5, len(entry.value or b"")):
            log = log_of(name)
            value = bytearray(entry.value or b"")
            value[position] ^= 1
            log.entries[log.entries.index(entry)] = replace(entry, value=bytes(value))
            if _source(entry) in aside:
                continue
            assert verified(log).problems, (decode(entry.value or b""), position)


def refused(log: Doctored) -> set[Position]:
    """What was refused is no link of the chain: that it is there is checked, and that its answer comes after it."""
    return {r.source for e in trail(log) if isinstance(r := decode(e.value or b""), Refused)}


def _source(entry: Entry) -> Position | None:
    return getattr(decode(entry.value or b""), "source", None)


def test_a_head_that_was_changed_shows() -> None:
    log = log_of("approved")
    (result,) = [entry for entry in log.entries if entry.topic == "wf.output"]
    changed = (result.value or b"").replace(b'"audit":{"b":"', b'"audit":{"b":"0')
    log.entries[log.entries.index(result)] = replace(result, value=changed)
    (problem,) = verified(log).problems
    assert (problem.what, problem.node) == ("altered", "b")


def test_the_first_of_them_is_named() -> None:
    log = log_of("approved")
    requested = next(e for e in trail(log) if isinstance(decode(e.value or b""), ReviewRequested))
    record = decode(requested.value or b"")
    assert isinstance(record, ReviewRequested)
    altered = encode(replace(record, assignees=("eve",)))
    log.entries[log.entries.index(requested)] = replace(requested, value=altered)
    (problem,) = verified(log).problems
    assert (problem.what, problem.at) == ("altered", requested.position)
    assert problem.message == "this ReviewRequested was altered, or what links to it"


def test_a_cut_tail_shows() -> None:
    log = log_of("approved")
    last = max((e.offset for e in trail(log)), default=0)
    kept = [e for e in log.entries if e.topic != JOURNAL or e.offset < last]
    log.entries[:] = kept
    (problem,) = verified(log).problems
    assert problem.what == "dropped"


def test_results_of_runs_without_reviews_have_no_heads() -> None:
    log = log_of("chain")
    assert verified(log).chains == 0
    assert all(b'"audit"' not in (e.value or b"") for e in log.entries if e.topic == "wf.output")
