"""External nodes in the test driver: what is asked, which answer counts, and what is recorded of the others."""

from typing import Any

import pytest

from schemas.records import Refused
from streams.testing import TopologyTestDriver
from tests.engine.scripts import Story, advance, answer, cancel, play, redrive, start
from tests.plans import external

DAG = {"a": (), "b": ("a",), "c": ("b",)}
NODES = {"b": external("b")}


def played(*steps: Any, **changes: Any) -> TopologyTestDriver:
    driver = Story(DAG, steps, nodes={"b": {**external("b"), **changes}}).driver()
    play(driver, steps)
    return driver


def refusals(driver: TopologyTestDriver) -> list[str]:
    return [read.record.reason for read in driver.read("b") if isinstance(read.record, Refused)]


def test_a_request_says_what_to_do_and_how_to_answer() -> None:
    with played(start()) as driver:
        (request,) = driver.read("requests")
        assert request.key == "r1"
        assert request.header("ce_id") == "r1/b/0/1/Request"
        assert request.header("content-type") == "application/json"
        assert request.json == {
            "run_id": "r1",
            "workflow_id": "wf",
            "node": "b",
            "epoch": 0,
            "attempt": 1,
            "idempotency_key": None,
            "due_at": "1970-01-01T00:00:10.000Z",
            "inputs": {"input": {"n": 1}, "a": {"node": "a", "saw": {"input": {"n": 1}}}},
        }
        assert driver.table("b")["r1"].status == "running"  # type: ignore[union-attr]


def test_an_answer_is_the_output() -> None:
    with played(start(), answer("b", output={"score": 3})) as driver:
        (result,) = driver.read("output")
        assert result.json["status"] == "success"
        assert result.json["nodes"]["b"]["attempts"] == 1
        assert result.json["outputs"]["c"]["saw"]["b"] == {"score": 3}


def test_a_second_answer_is_refused_and_changes_nothing() -> None:
    with played(start(), answer("b", output={"score": 3}), answer("b", output={"score": 4})) as driver:
        assert refusals(driver) == ["attempt 1 of epoch 0 came too late: the node has ended"]
        assert [read.json["outputs"]["c"]["saw"]["b"] for read in driver.read("output")] == [{"score": 3}]


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (answer("b", attempt=2), "attempt 2 of epoch 0 was never asked for"),
        (answer("a"), "node 'a' is no external node"),
    ],
)
def test_what_was_not_asked_for_is_refused(step: Any, reason: str) -> None:
    with played(start(), step) as driver:
        found = [r.record.reason for n in "ab" for r in driver.read(n) if isinstance(r.record, Refused)]
        assert found == [reason]
        assert driver.read("output") == []


def test_an_answer_that_does_not_come_is_asked_for_again_and_then_fails() -> None:
    with played(start(), advance(2), answer("b")) as driver:
        assert [request.json["attempt"] for request in driver.read("requests")] == [1, 2, 3]
        (result,) = driver.read("output")
        assert (result.json["status"], result.json["nodes"]["b"]["error"]["kind"]) == ("failed", "timeout")
        (letter,) = driver.read("dead-letter")
        assert letter.header("penstock.error.kind") == "timeout"
        assert refusals(driver) == ["attempt 1 of epoch 0 came too late: the node has ended"]


def test_a_late_answer_does_not_count_for_the_next_attempt() -> None:
    with played(start(), advance(0.2), answer("b"), answer("b", attempt=2, output={"score": 5})) as driver:
        assert refusals(driver) == ["attempt 1 of epoch 0 came too late: it timed out or failed before"]
        (result,) = driver.read("output")
        assert result.json["outputs"]["c"]["saw"]["b"] == {"score": 5}


def test_an_error_is_retried_unless_it_says_not_to() -> None:
    final = {"kind": "rejected_by_scorer", "message": "never", "retryable": False}
    with played(start(), answer("b", error="busy"), advance(0.1), answer("b", attempt=2, error=final)) as driver:
        (result,) = driver.read("output")
        assert result.json["nodes"]["b"]["attempts"] == 2
        assert result.json["nodes"]["b"]["error"] == {"kind": "rejected_by_scorer", "message": "never"}


def test_an_app_says_how_long_to_wait() -> None:
    with played(start(), answer("b", error={"message": "busy", "retry_after_s": 50}), advance(0.5)) as driver:
        assert len(driver.read("requests")) == 1
        driver.advance(minutes=0.5)
        assert [request.json["attempt"] for request in driver.read("requests")] == [2]


def test_after_a_cancel_an_answer_is_refused() -> None:
    with played(start(), cancel(), answer("b")) as driver:
        assert driver.read("output")[0].json["status"] == "cancelled"
        assert refusals(driver) == ["attempt 1 of epoch 0 came too late: the node has ended"]


def test_a_redrive_asks_again_in_its_epoch() -> None:
    steps = (start(), answer("b", error={"message": "no", "retryable": False}), redrive("b"), answer("b"))
    with played(*steps) as driver:
        asked = [request.json for request in driver.read("requests")]
        assert [request["attempt"] for request in asked] == [1, 1]
        assert asked[1]["epoch"] > 0
        assert refusals(driver) == [f"epoch {asked[1]['epoch']} runs: attempt 1 of epoch 0 is over"]
        play(driver, [answer("b", epoch=asked[1]["epoch"])])
        assert [read.json["status"] for read in driver.read("output")] == ["failed", "success"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, 'either an "output" or an "error"'),
        ({"output": {}, "error": "x"}, 'either an "output" or an "error"'),
        ({"output": 3}, '"output" is not a JSON object'),
        ({"error": 3}, '"error" is a text'),
        ({"error": {"message": "x", "retry_after_s": -1}}, "number of seconds"),
        ({"output": {}, "attempt": 0}, 'its "attempt"'),
        ({"output": {}, "attempt": True}, 'its "attempt"'),
        ({"output": {}, "epoch": None}, 'its "epoch"'),
        ({"output": {}, "node": "nobody"}, "names a node of the workflow: a, b, c"),
    ],
)
def test_an_answer_that_says_nothing_is_a_dead_letter(said: dict[str, Any], message: str) -> None:
    body = {"type": "result", "run_id": "r1", "node": "b", "attempt": 1, "epoch": 0, **said}
    with played(start()) as driver:
        driver.pipe("control", body)
        (letter,) = driver.read("dead-letter")
        assert message in (letter.header("penstock.error.message") or "")
        assert letter.json == body
