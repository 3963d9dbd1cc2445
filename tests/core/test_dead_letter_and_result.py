"""What leaves on public topics: the dead letter's headers and the result's fields (DESIGN.md 2 and 6a)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest

from schemas.records import ErrorInfo, Gathered, Json, NodeOutcome, NodeRow, RunRow, Spent
from streams.core.compiled import inputs_of
from streams.core.dead_letter import MAX_CAUSE, iso, node_dead_letter, poison
from streams.core.result import result_of, result_record
from tests.core.examples import RUN, SPENT, TRACE, failed, inbound, node
from tests.plans import plan_of

PLAN = plan_of({"a": (), "b": ("a",), "c": ("a",)})
ROW = RunRow(
    RUN,
    "failed",
    workflow_version="1.2.0",
    started_at=1_000,
    finished_at=3_500,
    traceparent=TRACE,
    nodes={
        "a": NodeOutcome("success", 2, 2, None, Spent(3, 5, 0.25), "m", 1_000, 2_000),
        "b": NodeOutcome("failed", 3, 3, ErrorInfo("timeout", "late", True), Spent(1, 0, 0.5), None, 2_000, 3_500),
        "c": NodeOutcome("success", 1, 1, None, Spent(), "m", 2_000, 3_000, Json('{"x":[1]}')),
    },
)


def written(row: RunRow) -> Any:
    return json.loads(orjson.dumps(result_of(PLAN, row)))


def test_the_result_has_every_field() -> None:
    found = written(ROW)
    usage = {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1}
    assert found.pop("nodes")["b"] == {
        "status": "failed",
        "attempts": 3,
        "error": {"kind": "timeout", "message": "late"},
        "started_at": "1970-01-01T00:00:02.000Z",
        "finished_at": "1970-01-01T00:00:03.500Z",
        "usage": usage,
        "cost_usd": 0.5,
        "model": None,
        "reused": False,
    }
    assert found == {
        "run_id": RUN,
        "workflow_id": "wf",
        "workflow_version": "1.2.0",
        "epoch": 0,
        "status": "failed",
        "outputs": {"c": {"x": [1]}},
        "usage": {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9},
        "cost_usd": 0.75,
        "started_at": "1970-01-01T00:00:01.000Z",
        "finished_at": "1970-01-01T00:00:03.500Z",
        "duration_ms": 2_500,
    }


def test_a_price_that_is_not_known_is_null_not_zero() -> None:
    nodes = {**ROW.nodes, "a": replace(ROW.nodes["a"], spent=Spent(1, 1, None))}
    assert result_of(PLAN, replace(ROW, nodes=nodes))["cost_usd"] is None


def test_only_sinks_are_in_the_outputs() -> None:
    nodes = {**ROW.nodes, "a": replace(ROW.nodes["a"], output=Json("{}"))}
    assert list(result_of(PLAN, replace(ROW, nodes=nodes))["outputs"]) == ["c"]


def test_the_result_is_one_record_per_run_and_epoch() -> None:
    found = result_record(PLAN, ROW)
    assert (found.topic, found.key) == ("wf.output", b"r1")
    assert json.loads(found.value or b"") == written(ROW)  # type: ignore[arg-type]
    assert dict(found.headers) == {
        "ce_id": b"r1/run/0/0/Result",
        "ce_type": b"Result",
        "ce_source": b"penstock/wf",
        "ce_specversion": b"1.0",
        "ce_time": b"1970-01-01T00:00:03.500Z",
        "ce_subject": b"r1",
        "traceparent": TRACE.encode(),
        "content-type": b"application/json",
    }


def test_a_run_cancelled_before_its_start_did_not_take_less_than_no_time() -> None:
    cancelled = replace(ROW, status="cancelled", started_at=5_000, finished_at=1_000)
    assert result_of(PLAN, cancelled)["duration_ms"] >= 0


@pytest.mark.parametrize("depth", [100, 250, 251, 252, 253])
def test_any_output_that_a_node_could_write_fits_into_the_result(depth: int) -> None:
    """An output is JSON within JSON there: what was written at the limit of depth must not end the worker."""
    deep = "{" + '"x":{' * (depth - 1) + "}" * depth
    nodes = {**ROW.nodes, "c": replace(ROW.nodes["c"], output=Json(deep))}
    assert result_record(PLAN, replace(ROW, nodes=nodes)).value


NODE = node()
FAILED_ROW = NodeRow(
    RUN,
    "failed",
    gathered={"input": Gathered("success", Json('{"n":1}')), "up": Gathered("skipped")},
    spent=SPENT,
    traceparent=TRACE,
)


def test_a_node_s_dead_letter_holds_what_it_saw_and_why() -> None:
    error = ErrorInfo("handler", "boom", True, None, "Traceback ...")
    found = node_dead_letter(NODE, FAILED_ROW, failed(error=error, attempt=3, seq=5))
    assert (found.topic, found.key) == ("wf.dead-letter", b"r1")
    assert json.loads(found.value or b"") == {"input": {"n": 1}, "up": None}  # type: ignore[arg-type]
    assert dict(found.headers) == {
        "ce_id": b"r1/n/0/5/DeadLetter",
        "ce_type": b"DeadLetter",
        "ce_source": b"penstock/wf/n",
        "ce_specversion": b"1.0",
        "ce_time": b"1970-01-01T00:01:01.000Z",
        "ce_subject": b"r1",
        "traceparent": TRACE.encode(),
        "content-type": b"application/json",
        "penstock.error.kind": b"handler",
        "penstock.error.message": b"boom",
        "penstock.error.node": b"n",
        "penstock.error.attempt": b"3",
        "penstock.error.traceback": b"Traceback ...",
    }


def test_a_dead_letter_of_an_input_at_the_limit_of_depth() -> None:
    """254 is as deep as an input may be written; beside its name it is one deeper."""
    deep = Json("[" * 254 + "]" * 254)
    row = replace(FAILED_ROW, gathered={"input": Gathered("success", deep), "up": Gathered("skipped")})
    assert node_dead_letter(NODE, row, failed()).value


def test_long_causes_are_cut() -> None:
    error = ErrorInfo("handler", "m" * 9_999, True, None, "t" * 9_999)
    headers = dict(node_dead_letter(NODE, FAILED_ROW, failed(error=error)).headers)
    assert {len(headers[f"penstock.error.{name}"]) for name in ("message", "traceback")} == {MAX_CAUSE}
    poisoned = dict(poison("wf.dead-letter", "wf", inbound(), "k", "m" * 9_999).headers)
    assert len(poisoned["penstock.error.message"]) == MAX_CAUSE


def test_a_key_that_is_no_text_does_not_hinder_the_dead_letter() -> None:
    found = poison("wf.dead-letter", "wf", inbound(key=b"\xff\xfe"), "k", "m")
    assert found.key == b"\xff\xfe"
    assert dict(found.headers)["ce_subject"].decode()


def test_a_node_sees_what_it_reads_and_null_for_what_has_no_output() -> None:
    assert inputs_of(NODE.plan, NodeRow("r")) == {"input": None, "up": None}
    assert inputs_of(
        replace(NODE.plan, reads_input=False), NodeRow("r", gathered={"up": Gathered("success", Json("[1]"))})
    ) == {"up": [1]}


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "1970-01-01T00:00:00.000Z"), (1_700_000_000_123, "2023-11-14T22:13:20.123Z")]
)
def test_times_are_iso_8601(ms: int, text: str) -> None:
    assert iso(ms) == text
