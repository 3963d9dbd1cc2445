"""(c): rows, timers, results."""

from __future__ import annotations

from schemas.codec import dumps, loads
from schemas.headers import OWNER_EPOCH
from schemas.ids import ce_id
from schemas.records import (
    AttemptDue,
    ErrorInfo,
    Gathered,
    Json,
    NodeRow,
    RunRow,
    Spent,
)
from tests.audit.cases import but, case, json_but
from tests.audit.memory import Doctored


@case("chain", "c.zombie-row")
def a_zombie_s_late_row(log: Doctored) -> None:
    late = log.of("table:a")[0]
    log.marker("a", 1)
    log.append(late, header=(OWNER_EPOCH, "0"))


@case("chain", "c.zombie-row")
def a_zombie_s_late_tombstone(log: Doctored) -> None:
    log.marker("run", 1)
    log.append(log.last_row("run"), value=None, header=(OWNER_EPOCH, "0"))


@case("chain")
def a_zombie_s_late_row_put_right(log: Doctored) -> None:
    late, own = log.of("table:a")[0], log.last_row("a")
    log.marker("a", 1)
    log.append(late, header=(OWNER_EPOCH, "0"))
    log.append(own, header=(OWNER_EPOCH, "1"))


@case("chain", "c.undecodable")
def a_row_that_does_not_decode(log: Doctored) -> None:
    log.append(log.last_row("a"), key=b"r1", value=b"\0\0\0\0\1what")


@case("chain", "c.node-row")
def another_output_in_a_row(log: Doctored) -> None:
    row = but(log.last_row("c").value)
    assert isinstance(row, NodeRow)
    assert row.output is not None
    log.change_row("c", output=Json(row.output.replace("c", "d", 1)))


@case("chain", "c.node-row")
def another_version_in_a_row(log: Doctored) -> None:
    log.change_row("b", plan_hash="of another run")


@case("chain", "c.node-row")
def another_status_in_a_row(log: Doctored) -> None:
    log.change_row("b", status="failed")


@case("chain", "c.node-row")
def a_row_that_was_not_told_of_its_end(log: Doctored) -> None:
    """The zombie of old: its last row is the one from before the end."""
    log.append(log.of("table:b")[-2])


@case("retried", "c.node-row")
def an_attempt_too_few_in_a_row(log: Doctored) -> None:
    log.change_row("b", attempt=2)


@case("retried", "c.node-row")
def usage_that_was_counted_twice(log: Doctored) -> None:
    row = but(log.last_row("b").value)
    assert isinstance(row, NodeRow)
    log.change_row("b", spent=row.spent + Spent(1, 1, 0.5))


@case("failed", "c.node-row")
def another_error_in_a_row(log: Doctored) -> None:
    log.change_row("b", last_error=ErrorInfo("handler", "something else", retryable=True))


@case("chain", "c.node-row")
def a_source_s_output_that_it_never_had(log: Doctored) -> None:
    row = but(log.last_row("b").value)
    assert isinstance(row, NodeRow)
    log.change_row("b", gathered={**row.gathered, "a": Gathered("success", Json("{}"))})


@case("waiting", "c.node-row")
def a_row_that_runs_what_has_failed(log: Doctored) -> None:
    log.change_row("b", status="running")


@case("chain", "c.run-row")
def another_status_in_the_run_s_row(log: Doctored) -> None:
    log.change_row("run", status="failed")


@case("chain", "c.run-row")
def another_input_in_the_run_s_row(log: Doctored) -> None:
    log.change_row("run", input_hash="0" * 64)


@case("chain", "c.run-row")
def another_output_in_the_run_s_row(log: Doctored) -> None:
    row = but(log.last_row("run").value)
    assert isinstance(row, RunRow)
    outcome = but_outcome(row)
    log.change_row("run", nodes={**row.nodes, "c": outcome})


def but_outcome(row: RunRow) -> object:
    from dataclasses import replace

    return replace(row.nodes["c"], output=Json("{}"))


@case("waiting", "c.run-row")
def a_run_s_row_that_missed_a_failed_attempt(log: Doctored) -> None:
    row = but(log.last_row("run").value)
    assert isinstance(row, RunRow)
    log.change_row("run", nodes={"a": row.nodes["a"]})


@case("chain", "c.row-missing", "c.node-row")
def a_row_that_is_not_there(log: Doctored) -> None:
    """And the row below it refers to its output."""
    log.append(log.last_row("b"), value=None)


@case("chain", "c.node-row")
def an_input_left_out_that_no_row_has(log: Doctored) -> None:
    log.change_row("a", gathered={"input": Gathered("success", in_source=True)})


@case("chain", "c.row-missing")
def a_run_without_its_row(log: Doctored) -> None:
    log.append(log.last_row("run"), value=None)


@case("chain", "c.row-unfounded")
def a_row_of_no_run(log: Doctored) -> None:
    log.append(log.last_row("b"), key=b"r3", record=NodeRow("r3"))


@case("retired", "c.row-unfounded")
def a_row_that_came_back_after_its_run_was_retired(log: Doctored) -> None:
    log.append(log.of("table:b")[0])


@case("waiting", "a.run-lost", "c.run-row")
def a_run_that_was_retired_before_its_end(log: Doctored) -> None:
    log.change_row("run", retired=True, nodes={})
    for node in "ab":  # c waits, and has none
        log.append(log.last_row(node), value=None)


@case("retried", "c.timer-left")
def a_timer_that_outlives_its_retry(log: Doctored) -> None:
    log.append(next(entry for entry in log.of("table:timers") if entry.value))


@case("waiting", "c.timer-left")
def a_timer_of_no_attempt(log: Doctored) -> None:
    timer = log.last_row("timers")
    log.append(timer, key=b"r1/a/0/1/retry", record=but(timer.value, node="a"))


@case("waiting", "c.timer-left")
def a_timer_of_no_run(log: Doctored) -> None:
    timer = log.last_row("timers")
    log.append(timer, key=b"r3/b/0/1/retry", record=but(timer.value, run_id="r3"))


@case("waiting", "c.timer-left")
def a_timer_under_another_key(log: Doctored) -> None:
    log.append(log.last_row("timers"), key=b"r1/b/0/2/retry")


@case("waiting", "a.run-lost", "c.timer-missing")
def a_wait_without_a_timer(log: Doctored) -> None:
    log.append(log.last_row("timers"), value=None)


@case("waiting", "a.run-lost", "c.node-row", "c.timer-missing")
def a_wait_that_is_over_and_nobody_noticed(log: Doctored) -> None:
    """The timer fired, its row went, `AttemptDue` was consumed: and the row still waits."""
    failed = log.of("b")[0]
    due = AttemptDue("r1", "b", 0, 1, 1000)
    log.append(failed, record=due, header=("ce_id", ce_id("r1", "b", 0, 1, "AttemptDue")))
    log.put(log.of("b")[-1], header=("ce_type", "AttemptDue"))
    log.append(log.last_row("timers"), value=None)


# ---- results --------------------------------------------------------------------------------------------------------


def _change_result(log: Doctored, **changes: object) -> None:
    result = log.of("output")[0]
    log.put(result, value=json_but(result.value, **changes))


@case("chain", "c.result")
def another_status_in_the_result(log: Doctored) -> None:
    _change_result(log, status="failed")


@case("chain", "c.result")
def another_output_in_the_result(log: Doctored) -> None:
    _change_result(log, outputs={"c": {"node": "c"}})


@case("diamond", "c.result")
def an_output_missing_from_the_result(log: Doctored) -> None:
    """The other run's result shows that there is one to be shown."""
    _change_result(log, outputs={})


@case("retried", "c.result")
def other_usage_in_the_result(log: Doctored) -> None:
    _change_result(log, usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})


@case("retried", "c.result")
def another_cost_in_the_result(log: Doctored) -> None:
    _change_result(log, cost_usd=0.1)


@case("retried", "c.result")
def other_attempts_in_the_result(log: Doctored) -> None:
    nodes = loads(log.of("output")[0].value or b"")["nodes"]
    nodes["b"]["attempts"] = 1
    _change_result(log, nodes=nodes)


@case("chain", "c.result")
def a_node_missing_from_the_result(log: Doctored) -> None:
    nodes = loads(log.of("output")[0].value or b"")["nodes"]
    del nodes["b"]
    _change_result(log, nodes=nodes)


@case("chain", "c.result")
def a_result_that_took_another_time(log: Doctored) -> None:
    _change_result(log, duration_ms=12345)


@case("chain")
def a_result_written_otherwise_that_says_the_same(log: Doctored) -> None:
    """Blanks and the order of keys are no difference."""
    result = log.of("output")[0]
    log.put(result, value=dumps(dict(reversed(loads(result.value or b"").items()))).encode())
