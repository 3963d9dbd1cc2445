"""For every invariant a log that breaks it: the audit names it, and names nothing else but what follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.audit.codes import CODES
from streams.audit.layout import layout_of
from streams.testing import partition_of
from tests.audit import cases_epochs, cases_inputs, cases_records, cases_rows
from tests.audit.cases import CASES, Case
from tests.audit.logs import log_of

MODULES = (cases_inputs, cases_rows, cases_records, cases_epochs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_found(case: Case) -> None:
    log = log_of(case.story)
    case.break_it(log)
    report = log.audit()
    assert {violation.code for violation in report.violations} == case.codes, report.violations
    for violation in report.violations:
        assert (violation.topic, violation.partition) in log.extents


def test_every_code_has_a_case() -> None:
    elsewhere = {"d.repeated", "f.count"}
    assert frozenset().union(*(case.codes for case in CASES)) | elsewhere == set(CODES)


def test_repeated_executions_are_limited_when_asked() -> None:
    log = log_of("chain")
    log.append(log.of("b")[0])
    assert log.audit().figures.repeated == 1
    assert log.codes() == log.codes(max_repeated=1) == set()
    assert log.codes(max_repeated=0) == {"d.repeated"}


def test_a_topic_that_grew() -> None:
    log = log_of("chain")
    topics = {**log.layout.topics, "wf.b": 3}
    log.layout = layout_of("wf", topics, lambda key, count: partition_of(key))
    assert log.codes() == {"f.count"}


def test_a_violation_names_its_place() -> None:
    log = log_of("chain")
    made = log.append(log.of("b")[0], value=b"what")
    (violation,) = log.audit().violations
    assert violation.place == f"wf.b/{made.partition}/{made.offset}"


def test_while_workers_are_at_work_commits_may_be_behind_but_not_beyond() -> None:
    log = log_of("chain")
    log.commit("output", -1)
    assert log.codes(quiet=False) == set()
    log.commit("run", 7)
    assert log.codes(quiet=False) == {"b.beyond"}


def test_what_is_not_consumed_yet_is_not_judged() -> None:
    """A node's end was published, and its agent has not read it: row and result are still to come."""
    log = log_of("chain")
    for topic, entries in (("output", log.of("output")), ("run", log.of("run")[1:])):
        assert entries, topic
        for entry in entries:
            log.drop(entry)
    log.append(log.of("table:c")[0])
    log.change_row("run", status="running", finished_at=None, nodes={})
    assert log.codes(quiet=False)
    log.commit("c", -1)
    report = log.audit(quiet=False)
    assert report.violations == ()
    assert (report.figures.unsettled, report.figures.waiting_unread, report.figures.lag) == (1, 1, 1)


def test_runs_whose_journals_retention_has_cut_are_not_judged() -> None:
    log = log_of("diamond")
    r1 = log.of("run")[0]
    for entry in (r1, log.of("classify")[0]):
        log.drop(entry)
        place = (entry.topic, entry.partition)
        log.extents[place] = replace(log.extents[place], begin=entry.offset + 1)
    report = log.audit()
    assert report.violations == ()
    assert report.figures.not_judged == 1
    assert any(r1.topic in note for note in report.notes)
