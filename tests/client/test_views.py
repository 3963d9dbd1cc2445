"""A run as JSON: the run's row has the last word on how a node ended, the node's own row knows the rest."""

from penstock.client.runs import RunState
from penstock.client.views import detail_of, summary_of
from penstock.client.workflows import Workflow
from schemas.records import ErrorInfo, Json, NodeOutcome, NodeRow, Position, RunRow, Spent

WORKFLOW = Workflow("w", 4, ("a", "b", "c"))


def test_a_run_in_the_middle() -> None:
    row = RunRow(
        "r",
        source=Position("w.input", 0, 0),
        started_at=1000,
        nodes={"b": NodeOutcome("success", 1, spent=Spent(3, 4, 0.5), started_at=1100, finished_at=1200)},
    )
    nodes = {
        "a": NodeRow("r", "waiting", attempt=2, started_at=1300, last_error=ErrorInfo("timeout", "slow", True)),
        "b": NodeRow("r", "success", attempt=1, input_hash="h", started_at=1100, output=Json('{"x":1}')),
    }
    found = detail_of(RunState(WORKFLOW, row, nodes))
    assert (found["status"], found["finished_at"], found["duration_ms"]) == ("running", None, None)
    assert list(found["nodes"]) == ["b", "a", "c"]
    a, b, c = (found["nodes"][node] for node in "abc")
    assert (a["status"], a["attempts"], a["error"]) == ("waiting", 2, {"kind": "timeout", "message": "slow"})
    assert (b["status"], b["output"], b["input_hash"], b["cost_usd"]) == ("success", {"x": 1}, "h", 0.5)
    assert (c["status"], c["attempts"], c["output"]) == ("pending", 0, None)
    assert found["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_rows_of_nodes_may_be_gone_before_the_runs() -> None:
    outcome = NodeOutcome("failed", 3, error=ErrorInfo("handler", "no", False), started_at=1000, finished_at=1500)
    row = RunRow("r", "failed", source=Position("t", 0, 0), nodes={"a": outcome}, started_at=1000, finished_at=2000)
    found = detail_of(RunState(WORKFLOW, row, {}))
    assert found["duration_ms"] == 1000
    assert found["nodes"]["a"]["attempts"] == 3
    assert found["nodes"]["a"]["error"] == {"kind": "handler", "message": "no"}


def test_a_price_nobody_knows_makes_the_sum_unknown() -> None:
    nodes = {"a": NodeOutcome(spent=Spent(1, 1, None)), "b": NodeOutcome(spent=Spent(1, 1, 0.1))}
    assert summary_of(RunState(WORKFLOW, RunRow("r", nodes=nodes), {}))["cost_usd"] is None
