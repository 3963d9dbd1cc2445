"""What anybody may put on the public topics: one run per run id, poison aside, and nothing that stops the workflow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas.ids import run_id_from_bytes
from streams.core.inbound import Inbound
from streams.testing import TopologyTestDriver
from tests.engine.scripts import nodes_of
from tests.plans import CHAIN, plan_of

SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
PLAN = plan_of(CHAIN, input_schema=SCHEMA)


@pytest.fixture
def driver() -> Iterator[TopologyTestDriver]:
    with TopologyTestDriver(PLAN, nodes_of(PLAN)) as made:
        yield made


def runs(driver: TopologyTestDriver) -> list[str | None]:
    return [read.key for read in driver.read("output")]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null_input"),
        (b"null", "null_input"),
        (b"", "invalid_json"),
        (b"\xff\xfe\x00", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"n": "x"}', "input_schema"),
        (b"[1]", "input_schema"),
        (b"\0\0\x0fB@", "invalid_json"),
    ],
    ids=repr,
)
def test_poison_goes_aside_as_it_came_and_the_next_one_runs(
    driver: TopologyTestDriver, value: bytes | None, kind: str
) -> None:
    driver.pipe("input", value, key="bad", headers={"mine": "kept"})
    driver.pipe("input", {"n": 1}, key="good")
    (dead,) = driver.read("dead-letter")
    assert (dead.key, dead.value, dead.header("mine")) == ("bad", value, "kept")
    assert dead.header("penstock.error.kind") == kind
    assert dead.header("penstock.error.topic") == "wf.input"
    assert runs(driver) == ["good"]


@pytest.mark.parametrize("depth", [100, 252, 254, 255, 900])
def test_a_deep_input_ends_as_a_run_or_in_the_dead_letter(depth: int) -> None:
    plan = plan_of({"a": ()}, nodes={"a": {"when": "input.none == 1"}})
    with TopologyTestDriver(plan, nodes_of(plan)) as driver:
        driver.pipe("input", b'{"x":' * depth + b"1" + b"}" * depth, key="deep")
        assert len(driver.read("output")) + len(driver.read("dead-letter")) >= 1


@pytest.mark.parametrize("key", [b"\xff\xfe", b"\x00\x00\x00\x07", b"a/b", b"x" * 500], ids=repr)
def test_any_key_names_a_run(driver: TopologyTestDriver, key: bytes) -> None:
    record = Inbound("wf.input", 0, 0, 0, key, b'{"n":1}')
    for _ in range(2):
        driver.log.topics["wf.input"][0].append(record)
        driver._settle()
    assert runs(driver) == [run_id_from_bytes(key)]
    assert driver.read("dead-letter") == []


def test_the_same_input_twice_is_one_run(driver: TopologyTestDriver) -> None:
    driver.pipe("input", {"n": 1}, key="r1")
    driver.pipe("input", b'{ "n" : 1 }', key="r1")
    assert runs(driver) == ["r1"]
    assert driver.read("dead-letter") == []
    assert len(driver.executions) == 3


def test_another_input_is_a_conflict_and_the_first_one_stands(driver: TopologyTestDriver) -> None:
    driver.pipe("input", {"n": 1}, key="r1")
    driver.pipe("input", b'{"n":   2}', key="r1")
    (result,) = driver.read("output")
    assert result.json["outputs"]["c"]["saw"]["input"] == {"n": 1}
    (dead,) = driver.read("dead-letter")
    assert (dead.key, dead.value) == ("r1", b'{"n":   2}')
    assert dead.header("penstock.error.kind") == "run_id_conflict"
    assert len(driver.executions) == 3


def test_ce_id_names_the_run_if_there_is_no_key(driver: TopologyTestDriver) -> None:
    driver.pipe("input", {"n": 1}, headers={"ce_id": "event-7"})
    driver.pipe("input", {"n": 1}, key="k", headers={"ce_id": "event-8"})
    assert sorted(map(str, runs(driver))) == ["event-7", "k"]


def test_without_key_and_id_every_record_is_a_run(driver: TopologyTestDriver) -> None:
    for _ in range(3):
        driver.pipe("input", {"n": 1})
    assert len(set(runs(driver))) == 3


def test_people_whose_keys_are_customers_pick_offset() -> None:
    plan = plan_of(CHAIN, run_id_from="offset")
    with TopologyTestDriver(plan, nodes_of(plan)) as driver:
        for n in range(3):
            driver.pipe("input", {"n": n}, key="customer")
        found = runs(driver)
        assert len(set(found)) == 3
        assert all(run is not None and run.startswith("o-") for run in found)


@pytest.mark.parametrize(("how", "headers"), [("key", {"ce_id": "e"}), ("ce_id", {})])
def test_a_record_without_what_the_workflow_names_runs_by(how: str, headers: dict[str, str]) -> None:
    plan = plan_of(CHAIN, run_id_from=how)
    with TopologyTestDriver(plan, nodes_of(plan)) as driver:
        driver.pipe("input", {"n": 1}, headers=headers)
        assert runs(driver) == []
        assert driver.read("dead-letter")[0].header("penstock.error.kind") == "no_run_id"


@pytest.mark.parametrize(
    "value", [b"x", None, b"[]", b'{"type":"cancel"}', b'{"type":"redrive","run_id":"r1","node":"unknown"}'], ids=repr
)
def test_a_bad_command_goes_aside(driver: TopologyTestDriver, value: bytes | None) -> None:
    driver.pipe("control", value, key="r1")
    (dead,) = driver.read("dead-letter")
    assert (dead.key, dead.value, dead.header("penstock.error.topic")) == ("r1", value, "wf.control")


def test_public_records_say_where_they_come_from(driver: TopologyTestDriver) -> None:
    trace = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    driver.pipe("input", {"n": 1}, key="r1", headers={"traceparent": trace})
    (result,) = driver.read("output")
    assert {name: result.header(name) for name in ("ce_type", "ce_source", "ce_specversion", "ce_subject")} == {
        "ce_type": "Result",
        "ce_source": "penstock/wf",
        "ce_specversion": "1.0",
        "ce_subject": "r1",
    }
    for topic in ("run", "a", "b", "c"):
        for read in driver.read(topic):
            assert [value for name, value in read.headers if name == "traceparent"] == [trace.encode()]
            assert read.header("ce_id")
    assert result.header("traceparent") == trace
