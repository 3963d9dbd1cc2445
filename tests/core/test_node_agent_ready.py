"""When a node runs, and when it does not: readiness, joins, `when`, idempotency keys (PROTOCOL.md 6, DESIGN.md 5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.codec import encode
from schemas.records import (
    ErrorInfo,
    Failed,
    Finished,
    Gathered,
    Json,
    NodeRecord,
    NodeRow,
    NodeStatus,
    Skipped,
    Terminal,
)
from streams.core.compiled import CompiledNode
from streams.core.node_agent import decide
from streams.core.transition import NOTHING, Transition, send
from tests.core.examples import (
    MOMENT,
    NOW,
    RUN,
    TRACE,
    attempt_failed,
    cancel_requested,
    cancelled,
    due,
    failed,
    node,
    root,
    skipped,
    started,
    succeeded,
    workflow,
)

INPUT = {"input": Gathered("success", Json('{"n":1}'))}
PENDING = NodeRow(RUN, started=True, gathered=INPUT, traceparent=TRACE, plan_hash="hash")


def launched(row: NodeRow) -> Transition:
    """Return the launch of a row's first attempt."""
    running = replace(row, status="running", seq=1, attempt=1, incarnation="me", launched_at=NOW, started_at=NOW)
    return Transition(row=running, launch=True)


def hashed(row: NodeRow, found: Transition) -> NodeRow:
    """Return `row` with the input hash that `found` has; what is in it is tested apart."""
    assert isinstance(found.row, NodeRow)
    assert found.row.input_hash is not None
    assert len(found.row.input_hash) == 64
    return replace(row, input_hash=found.row.input_hash)


def closing(of: CompiledNode, row: NodeRow, record: Failed | Skipped) -> Transition:
    """Return the writing of a node's own end: it takes effect when it is read back."""
    return Transition(
        row=replace(row, status="waiting", closing=True),
        sends=(send(of.plan.topic, record, of.plan.id, 0, row.seq, TRACE),),
    )


def test_a_root_runs_once_its_run_is_started() -> None:
    found = decide(root(), None, started(), MOMENT)
    assert found == launched(hashed(PENDING, found))


def test_a_node_that_does_not_read_the_input_does_not_carry_it() -> None:
    found = decide(root(reads_input=False), None, started(), MOMENT)
    assert isinstance(found.row, NodeRow)
    assert found.row.gathered == {}


def test_a_node_waits_for_its_dependency() -> None:
    assert decide(node(), None, started(), MOMENT) == Transition(row=PENDING)


def test_a_dependency_may_be_read_before_the_start() -> None:
    """Across topics there is no order."""
    of = node()
    early = decide(of, None, succeeded("up"), MOMENT).row
    assert early == NodeRow(RUN, gathered={"up": Gathered("success", Json('{"a":1}'))})
    found = decide(of, early, started(), MOMENT)  # type: ignore[arg-type]
    gathered = {**INPUT, "up": Gathered("success", Json('{"a":1}'))}
    assert found == launched(hashed(replace(PENDING, gathered=gathered), found))


def test_an_output_that_nobody_reads_is_not_kept() -> None:
    found = decide(node(reads=()), None, succeeded("up"), MOMENT)
    assert found == Transition(row=NodeRow(RUN, gathered={"up": Gathered("success")}))


def test_the_first_terminal_record_of_a_source_counts() -> None:
    row = NodeRow(RUN, gathered={"up": Gathered("failed")})
    for late in (succeeded("up"), failed("up"), skipped("up"), cancelled("up")):
        assert decide(node(), row, late, MOMENT) == NOTHING


def test_a_source_s_attempts_are_none_of_a_node_s_business() -> None:
    assert decide(node(), PENDING, attempt_failed("up"), MOMENT) == NOTHING
    assert decide(node(), PENDING, due(of="up"), MOMENT) == NOTHING


def test_what_is_the_run_agent_s_is_nothing_to_a_node() -> None:
    assert decide(node(), PENDING, cancel_requested(), MOMENT) == NOTHING
    assert decide(node(), None, Finished(RUN, 0, "success", NOW), MOMENT) == NOTHING


@pytest.mark.parametrize("early", [succeeded("up", epoch=1), failed(epoch=1)], ids=lambda r: type(r).__name__)
def test_an_epoch_that_was_not_opened_yet_waits(early: NodeRecord) -> None:
    held = replace(PENDING, ahead=(encode(early),))
    assert decide(node(), PENDING, early, MOMENT) == Transition(row=held)
    assert decide(node(), held, early, MOMENT) == NOTHING


def test_the_second_started_is_ignored_whatever_its_input() -> None:
    row = launched(PENDING).row
    assert decide(root(), row, started(), MOMENT) == NOTHING  # type: ignore[arg-type]
    assert decide(root(), row, started('{"n":2}'), MOMENT) == NOTHING  # type: ignore[arg-type]


def test_the_input_hash_tells_inputs_apart() -> None:
    one, again, other = (decide(root(), None, started(text), MOMENT).row for text in ("{}", "{}", '{"n":2}'))
    assert isinstance(one, NodeRow)
    assert isinstance(other, NodeRow)
    assert one == again
    assert one.input_hash != other.input_hash


ENDS: dict[NodeStatus, Terminal] = {
    "success": succeeded("up"),
    "failed": failed("up"),
    "skipped": skipped("up"),
    "cancelled": cancelled("up"),
}
ONE_DEPENDENCY = {
    ("all_success", "success"): None,
    ("all_success", "failed"): "join all_success: up failed",
    ("all_success", "skipped"): "join all_success: up skipped",
    ("all_success", "cancelled"): "join all_success: up cancelled",
    ("any_success", "success"): None,
    ("any_success", "failed"): "join any_success: up failed",
    ("any_success", "skipped"): "join any_success: up skipped",
    ("any_success", "cancelled"): "join any_success: up cancelled",
    ("all_done", "success"): None,
    ("all_done", "failed"): None,
    ("all_done", "skipped"): None,
    ("all_done", "cancelled"): "cancelled: up cancelled",
}


@pytest.mark.parametrize(("join", "status"), ONE_DEPENDENCY)
def test_join(join: str, status: NodeStatus) -> None:
    of, reason = node(join=join), ONE_DEPENDENCY[join, status]
    found = decide(of, PENDING, ENDS[status], MOMENT)
    output = Json('{"a":1}') if status == "success" else None
    row = replace(PENDING, gathered={**INPUT, "up": Gathered(status, output)})
    if reason is None:
        assert found == launched(hashed(row, found))
    else:
        assert found == closing(of, row, Skipped(RUN, "n", 0, 0, reason, NOW))


TWO_DEPENDENCIES = {  # all_success, any_success, all_done
    ("success", "success"): (True, True, True),
    ("success", "failed"): (False, True, True),
    ("success", "skipped"): (False, True, True),
    ("success", "cancelled"): (False, True, False),
    ("failed", "failed"): (False, False, True),
    ("failed", "skipped"): (False, False, True),
    ("skipped", "cancelled"): (False, False, False),
}


@pytest.mark.parametrize("which", range(3), ids=["all_success", "any_success", "all_done"])
@pytest.mark.parametrize("statuses", TWO_DEPENDENCIES, ids=str)
@pytest.mark.parametrize("turned", [False, True], ids=["a first", "b first"])
def test_join_of_two(which: int, statuses: tuple[NodeStatus, NodeStatus], turned: bool) -> None:
    """Nothing happens before the last one, not even for any_success: else what a node sees depended on arrival."""
    join = ("all_success", "any_success", "all_done")[which]
    of = workflow({"a": (), "b": (), "n": ("a", "b")}, n={"join": join}).nodes["n"]
    records = [replace(ENDS[status], node=name) for name, status in zip("ab", statuses, strict=True)]
    first, last = reversed(records) if turned else records
    waits = decide(of, PENDING, first, MOMENT)
    assert (waits.launch, waits.sends) == (False, ())
    found = decide(of, waits.row, last, MOMENT)  # type: ignore[arg-type]
    assert found.launch is TWO_DEPENDENCIES[statuses][which]
    assert [type(s.value) for s in found.sends] == ([] if found.launch else [Skipped])


def test_a_node_waits_for_what_it_reads_though_it_does_not_depend_on_it() -> None:
    of = workflow({"a": (), "b": (), "n": ("a",)}, n={"reads": ("b",)}).nodes["n"]
    row = decide(of, PENDING, succeeded("a"), MOMENT).row
    assert row == replace(PENDING, gathered={**INPUT, "a": Gathered("success")})
    found = decide(of, row, failed("b"), MOMENT)  # type: ignore[arg-type]
    assert found.launch, "how a mere data edge ended does not decide whether the node runs"


def test_when_true_runs_and_when_false_skips() -> None:
    found = decide(root(when="input.n == 1"), None, started(), MOMENT)
    assert found == launched(hashed(PENDING, found))
    of = root(when="input.n == 2")
    skip = Skipped(RUN, "n", 0, 0, "when: input.n == 2 is false", NOW)
    assert decide(of, None, started(), MOMENT) == closing(of, PENDING, skip)


@pytest.mark.parametrize("changes", [{"when": "input.x.y == 1"}, {"idempotency_key": "k-${input.x}"}], ids=str)
def test_an_expression_that_errs_fails_the_node_without_an_attempt(changes: dict[str, str]) -> None:
    of = root(**changes)
    found = decide(of, None, started(), MOMENT)
    assert isinstance(found.row, NodeRow)
    error = found.row.last_error
    assert isinstance(error, ErrorInfo)
    assert (error.kind, error.retryable) == ("expression", False)
    assert found == closing(of, replace(PENDING, last_error=error), Failed(RUN, "n", 0, 0, 0, error, NOW))


def test_when_does_not_see_the_output_of_a_node_without_one() -> None:
    of = node(join="all_done", when="up == null")
    assert decide(of, PENDING, failed("up"), MOMENT).launch


def test_a_join_that_refuses_does_not_ask_when() -> None:
    found = decide(node(when="up.a.b == 1"), PENDING, failed("up"), MOMENT)
    assert isinstance(found.sends[0].value, Skipped)


def test_the_idempotency_key_is_evaluated_on_what_the_node_sees() -> None:
    found = decide(node(idempotency_key="inv-${up.a}-${input.n}"), PENDING, succeeded("up"), MOMENT)
    assert isinstance(found.row, NodeRow)
    assert found.row.idempotency_key == "inv-1-1"
    assert found.launch
