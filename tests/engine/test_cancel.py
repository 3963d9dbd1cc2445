"""Cancel: the first of {end, cancel} in each node's journal counts there (PROTOCOL.md 5)."""

from __future__ import annotations

from schemas.codec import dumps
from schemas.records import NodeRow
from streams.core.outcome import Done, NodeInput, Outcome
from streams.engine.log import Outgoing
from streams.testing import TopologyTestDriver
from tests.engine.audit import audit
from tests.engine.scripts import cancel as cancel_of
from tests.engine.scripts import echo, end_of, flaky, nodes_of, play, start
from tests.plans import CHAIN, plan_of

CANCEL = {"type": "cancel", "run_id": "r1"}
PAIR = {"a": (), "b": (), "c": ("a", "b")}


def driver_of(dag: dict[str, tuple[str, ...]] | None = None, **special: object) -> TopologyTestDriver:
    plan = plan_of(dag or CHAIN)
    return TopologyTestDriver(plan, nodes_of(plan, special))  # type: ignore[arg-type]


def result_of(driver: TopologyTestDriver) -> tuple[str, dict[str, str]]:
    audit(driver)
    (read,) = driver.read("output")
    return read.json["status"], {node: outcome["status"] for node, outcome in read.json["nodes"].items()}


def test_before_the_start() -> None:
    with driver_of() as driver:
        driver.pipe("control", CANCEL)
        assert driver.read("output") == []
        driver.pipe("input", {}, key="r1")
        assert result_of(driver) == ("cancelled", dict.fromkeys("abc", "cancelled"))
        assert driver.executions == []


def test_while_a_retry_waits() -> None:
    with driver_of(b=flaky(1)) as driver:
        driver.pipe("input", {}, key="r1")
        driver.pipe("control", CANCEL)
        assert result_of(driver) == ("cancelled", {"a": "success", "b": "cancelled", "c": "cancelled"})
        driver.advance(minutes=1)
        assert [i.node for i in driver.executions] == ["a", "b"], "the retry that was due is not made"
        assert driver.table("timers") == {}


def test_while_attempts_are_in_flight() -> None:
    """One in flight ends first, the other one is aborted before it began."""

    def cancels(node_input: NodeInput) -> Outcome:
        command = Outgoing("wf.control", None, None, dumps(CANCEL).encode())
        driver.log._one(command)
        return echo(node_input)

    with driver_of(PAIR, a=cancels, b=cancels) as driver:
        driver.pipe("input", {}, key="r1")
        assert len(driver.executions) == 1
        ended = driver.executions[0].node
        expected = {node: "success" if node == ended else "cancelled" for node in "abc"}
        assert result_of(driver) == ("cancelled", expected)


def test_after_the_end_it_changes_nothing() -> None:
    with driver_of() as driver:
        driver.pipe("input", {}, key="r1")
        before = end_of(driver)
        driver.pipe("control", CANCEL)
        after = end_of(driver)
        assert after.rows == before.rows
        assert (after.output, after.dead) == ({}, {})


def test_twice() -> None:
    with driver_of(b=flaky(1)) as driver:
        play(driver, [start("r1", {}), cancel_of(), cancel_of()])
        assert result_of(driver)[0] == "cancelled"


def test_one_run_alone() -> None:
    with driver_of(b=flaky(1)) as driver:
        for run in ("r1", "r2"):
            driver.pipe("input", {}, key=run)
        driver.pipe("control", CANCEL)
        driver.advance(minutes=1)
        assert {read.key: read.json["status"] for read in driver.read("output")} == {"r1": "cancelled", "r2": "success"}


def test_a_cancelled_node_says_who_owns_it_no_more() -> None:
    with driver_of(b=flaky(1)) as driver:
        play(driver, [start("r1", {}), cancel_of()])
        row = driver.table("b")["r1"]
        assert isinstance(row, NodeRow)
        assert (row.status, row.incarnation, row.closing) == ("cancelled", None, False)


def test_an_unknown_run_can_be_cancelled_and_never_appears() -> None:
    with driver_of(a=lambda i: Done({})) as driver:
        driver.pipe("control", {"type": "cancel", "run_id": "nobody"})
        driver.advance(minutes=60)
        assert driver.read("output") == []
        assert driver.read("dead-letter") == []
