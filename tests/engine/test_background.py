"""Background nodes in the test driver: the result does not wait for them, and they end all the same."""

import pytest

from schemas.records import RunRow
from streams.testing import TopologyTestDriver
from tests.engine.scripts import Step, Story, advance, broken, cancel, fixed_by_an_edit, flaky, play, redrive, start
from tests.plans import CHAIN
from tests.topology.workflow_files import function, load, nodes

BEHIND = {"c": {"background": True}}


def played(*steps: Step, **special: object) -> TopologyTestDriver:
    driver = Story(CHAIN, steps, special, BEHIND).driver()  # type: ignore[arg-type]
    play(driver, steps)
    return driver


def status_of(driver: TopologyTestDriver, node: str) -> str:
    row = driver.table("run")["r1"]
    assert isinstance(row, RunRow)
    return row.nodes[node].status


def test_the_result_is_written_before_they_end_and_shows_the_others() -> None:
    with played(start(), c=flaky(1)) as driver:
        (result,) = driver.read("output")
        assert result.json["status"] == "success"
        assert list(result.json["outputs"]) == ["b"]
        assert list(result.json["nodes"]) == ["a", "b"]
        driver.advance(minutes=1)
        assert status_of(driver, "c") == "success"
        assert driver.read("output") == []


def test_their_failure_is_none_of_the_runs_and_can_be_redriven() -> None:
    with played(start(), c=fixed_by_an_edit) as driver:
        assert [read.json["status"] for read in driver.read("output")] == ["success"]
        assert status_of(driver, "c") == "failed"
        assert len(driver.read("dead-letter")) == 1
        play(driver, [redrive("c", edit={"input": {"ok": True}})])
        assert status_of(driver, "c") == "success"
        (again,) = driver.read("output")
        assert (again.json["status"], again.json["epoch"] > 0) == ("success", True)


def test_a_failure_before_them_skips_them() -> None:
    with played(start(), b=broken) as driver:
        assert driver.read("output")[0].json["status"] == "failed"
        assert status_of(driver, "c") == "skipped"


def test_a_cancel_after_the_result_changes_nothing_of_it() -> None:
    with played(start(), cancel(), advance(1), c=flaky(1)) as driver:
        assert [read.json["status"] for read in driver.read("output")] == ["success"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            function("a", more=", background: true") + function("b", "a"),
            "node 'b': 'a' is a background node, so 'b' must be one, too (background: true)",
        ),
        (function("a", more=", background: true"), "every node is a background node: there would be no result"),
    ],
)
def test_nothing_of_the_result_waits_for_one(text: str, message: str) -> None:
    loaded = load(nodes(text))
    assert [error.message for error in loaded.errors] == [message]
