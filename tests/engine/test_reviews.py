"""Reviews in the test driver: what is asked, which decision counts, and what is recorded of the others."""

import hashlib
from typing import Any

import pytest

from schemas.chain import shown_hash
from schemas.codec import dumps, loads
from schemas.records import Decided, NodeRow, Refused, ReviewRequested
from streams.testing import TopologyTestDriver
from tests.engine.scripts import Story, advance, cancel, decision, doubtful, play, redrive, start
from tests.engine.stories_of_kinds import DOUBT, FORM
from tests.plans import review

DAG = {"a": (), "b": ("a",), "c": ("b",)}
SEEN = {"node": "a", "saw": {"input": {"n": 1}}}
TO_BOB = {"on_timeout": "escalate", "escalate_to": ("bob",)}


def played(*steps: Any, form: dict[str, Any] | None = None, **changes: Any) -> TopologyTestDriver:
    driver = Story(DAG, steps, nodes={"b": review(form, **changes)}).driver()
    play(driver, steps)
    return driver


def of(driver: TopologyTestDriver, kind: type) -> list[Any]:
    """Return the records of a kind in the review's journal."""
    raw = [r.value for log in driver.log.topics[driver.plan.node("b").topic].values() for r in log]
    from schemas.codec import decode

    return [record for value in raw if isinstance(record := decode(value or b""), kind)]


def refusals(driver: TopologyTestDriver) -> list[str]:
    return [record.reason for record in of(driver, Refused)]


def results(driver: TopologyTestDriver) -> list[dict[str, Any]]:
    return [read.json for read in driver.read("output")]


def test_a_request_shows_what_is_reviewed_and_where_it_comes_from() -> None:
    with played(start()) as driver:
        (asked,) = of(driver, ReviewRequested)
        seen = {"input": {"n": 1}, "a": SEEN}
        assert loads(asked.shown) == seen
        assert asked.hash == shown_hash("r1", "b", 0, seen)
        assert (asked.assignees, asked.reason, asked.due_at - asked.requested_at) == (("ada",), "review", 60_000)
        assert asked.made_by["a"].model == "m"
        assert asked.made_by["a"].response_hash == hashlib.sha256(dumps(SEEN).encode()).hexdigest()
        row = driver.table("b")["r1"]
        assert isinstance(row, NodeRow)
        assert (row.status, row.review and row.review.requested_at) == ("waiting", 0)


def test_an_approval_is_the_output_with_what_was_approved() -> None:
    with played(start(), decision("b", comment="fine")) as driver:
        (result,) = results(driver)
        said = {"decision": "approve", "reviewer": "ada", "comment": "fine", "edit": None, "output": SEEN}
        assert result["outputs"]["c"]["saw"]["b"] == said
        assert list(result["audit"]) == ["b"]


def test_an_edit_is_merged_into_what_was_approved() -> None:
    with played(start(), decision("b", edit={"n": 5}), form=FORM) as driver:
        output = results(driver)[0]["outputs"]["c"]["saw"]["b"]
        assert (output["edit"], output["output"]) == ({"n": 5}, {**SEEN, "n": 5})


def test_a_rejection_is_a_failure_that_is_not_retried() -> None:
    with played(start(), decision("b", decision="reject", comment="no")) as driver:
        (result,) = results(driver)
        assert (result["status"], result["nodes"]["c"]["status"]) == ("failed", "skipped")
        assert result["nodes"]["b"]["error"] == {"kind": "rejected", "message": "rejected by ada: no"}
        (letter,) = driver.read("dead-letter")
        assert letter.header("penstock.error.kind") == "rejected"


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([decision("b"), start()], "no review was asked for"),
        ([start(), decision("b"), decision("b", decision="reject")], "ada decided before"),
        ([start(), decision("b", decision="reject"), decision("b")], "somebody decided before"),
        ([start(), advance(2), decision("b")], "its time ran out"),
        ([start(), decision("b", epoch=7)], "epoch 7 is not under review: epoch 0 runs"),
        ([start(), decision("b", hash="ab")], "is not what is shown"),
        ([start(), decision("b", edit={"n": 1})], "no form_schema"),
        ([start(), cancel(), decision("b")], "the review is cancelled"),
        ([start(), decision("a")], "nobody reviews node 'a'"),
    ],
)
def test_what_does_not_count_is_refused_with_the_reason(steps: Any, reason: str) -> None:
    with played(*steps) as driver:
        records = [r.record for node in "ab" for r in driver.read(node) if isinstance(r.record, Refused)]
        assert [record.command for record in records] == ["review"]
        assert reason.replace("ada", "somebody") in records[0].reason
        assert records[0].requested_by == "ada"
        assert len(of(driver, Decided)) <= 1


def test_an_edit_that_does_not_fit_the_form_is_refused_and_another_may_follow() -> None:
    with played(start(), decision("b", edit={"n": "x"}), decision("b", edit={"n": 2}), form=FORM) as driver:
        (why,) = refusals(driver)
        assert why.startswith("edit: ")
        assert [read["status"] for read in results(driver)] == ["success"]


def test_when_time_is_over_it_is_rejected_or_approved_as_the_workflow_says() -> None:
    with played(start(), advance(2)) as driver:
        (result,) = results(driver)
        assert result["nodes"]["b"]["error"]["kind"] == "rejected"
    with played(start(), advance(2), on_timeout="approve") as driver:
        (result,) = results(driver)
        output = result["outputs"]["c"]["saw"]["b"]
        assert (output["decision"], output["reviewer"], output["output"]) == ("approve", None, SEEN)


def test_others_are_asked_once_and_then_it_is_rejected() -> None:
    with played(start(), advance(1.5), **TO_BOB) as driver:
        first, second = of(driver, ReviewRequested)
        assert (second.assignees, second.escalation, second.hash) == (("bob",), 1, first.hash)
        assert second.shown == first.shown
        driver.advance(minutes=1)
        (decided,) = of(driver, Decided)
        assert (decided.decision, decided.reviewer, decided.source) == ("reject", None, None)


def test_a_redrive_asks_again_and_an_approval_of_the_epoch_before_is_refused() -> None:
    with played(start(), decision("b", decision="reject"), redrive("b")) as driver:
        before, now = of(driver, ReviewRequested)
        assert before.hash != now.hash
        play(driver, [decision("b", epoch=0, hash=before.hash), decision("b", hash=before.hash)])
        assert len(refusals(driver)) == 2
        play(driver, [decision("b", epoch=now.epoch, hash=now.hash)])
        assert [result["status"] for result in results(driver)] == ["failed", "success"]


def test_an_answer_in_doubt_is_paid_once_and_may_be_mended() -> None:
    story = Story(DAG, [start(), decision("b", edit={"n": 4})], {"b": doubtful}, nodes={"b": DOUBT})
    with story.driver() as driver:
        play(driver, story.steps)
        (asked,) = of(driver, ReviewRequested)
        assert (asked.reason, loads(asked.shown)) == ("low_confidence", {"b": {"n": 3}})
        assert asked.made_by["b"].response_hash == hashlib.sha256(b'{"n": 3}').hexdigest()
        (result,) = results(driver)
        assert result["outputs"]["c"]["saw"]["b"] == {"n": 4}
        node = result["nodes"]["b"]
        assert (node["status"], node["attempts"], node["model"], node["cost_usd"]) == ("success", 1, "m1", 0.125)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"decision": "maybe"}, '"decision" is approve or reject'),
        ({"reviewer": None}, 'names its "reviewer"'),
        ({"reviewer": 3}, '"reviewer" is not a text'),
        ({"comment": 3}, '"comment" is not a text'),
        ({"edit": [1]}, '"edit" is not a JSON object'),
        ({"epoch": "x"}, '"epoch"'),
        ({"hash": 3}, '"hash" is not a text'),
        ({"node": "nobody"}, "names a node of the workflow: a, b, c"),
    ],
)
def test_a_decision_that_says_nothing_is_a_dead_letter(said: dict[str, Any], message: str) -> None:
    body = {"type": "review", "run_id": "r1", "node": "b", "decision": "approve", "reviewer": "ada", **said}
    with played(start()) as driver:
        driver.pipe("control", body)
        (letter,) = driver.read("dead-letter")
        assert message in (letter.header("penstock.error.message") or "")
