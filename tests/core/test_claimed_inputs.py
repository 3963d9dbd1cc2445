"""Claims among inputs: a header makes one, an allowed store is needed, and no expression reads one."""

from __future__ import annotations

import json

import pytest

from schemas.claims import PREFIX, Claim, claim_of, is_claim, text_of, value_of, written
from schemas.records import ResultReceived, Started
from streams.core.compiled import CompiledWorkflow, compile_workflow
from streams.core.inbound import Inbound
from streams.core.intake import admit, command
from tests.core.examples import MOMENT, inbound
from tests.plans import CHAIN, external, plan_of
from topology.expressions import ExpressionError, compile_condition, compile_interpolation
from topology.plan import ClaimCheck

SHA = "ab" * 32
CLAIM = claim_of("file:///claims/x", 20, SHA)
HEADER = ("penstock.claim", b"1")
OPEN = compile_workflow(plan_of(CHAIN), stores=("file:///claims",))
CLOSED = compile_workflow(plan_of(CHAIN))
ASKED = compile_workflow(plan_of(CHAIN, nodes={"b": external("b")}), stores=("file:///claims",))
SCHEMA = {"type": "object", "required": ["n"]}


def record_of(value: object, *headers: tuple[str, bytes]) -> Inbound:
    return inbound(value if isinstance(value, bytes) else json.dumps(value, indent=2).encode(), headers=headers)


def started(record: Inbound) -> Started:
    found = admit(OPEN, record, MOMENT).value
    assert isinstance(found, Started)
    return found


def test_a_claim_is_taken_however_it_is_written() -> None:
    found = started(record_of(CLAIM, HEADER))
    assert (found.input, found.input_hash) == (text_of(CLAIM), SHA)
    assert value_of(found.input) == CLAIM
    assert isinstance(value_of(found.input), Claim)


def test_without_the_header_it_is_an_input_like_any_other() -> None:
    assert not is_claim(started(record_of(CLAIM)).input)
    forged = text_of(CLAIM).encode()
    assert forged.decode().startswith(PREFIX)
    assert not is_claim(started(record_of(forged)).input)
    within = json.dumps({"a": [CLAIM], "b": {"c": CLAIM, "said": ' {"$claim":'}}).replace("{", "   {")
    assert PREFIX in within
    found = started(record_of(within.encode())).input
    assert (PREFIX in found, value_of(found)) == (False, json.loads(within))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (claim_of("file:///other/x", 1, SHA), b"claim_refused"),
        (claim_of("file:///claims/../x", 1, SHA), b"claim_refused"),
        (claim_of("http://claims/x", 1, SHA), b"claim_refused"),
        (claim_of("file:///claims/x", -1, SHA), b"claim_malformed"),
        (claim_of("file:///claims/x", 1, "XY"), b"claim_malformed"),
        (claim_of("file:///claims/x", 1, SHA, "application/pdf"), b"claim_malformed"),
        ({"$claim": {**CLAIM["$claim"], "more": 1}}, b"claim_malformed"),
        ({"$claim": {"uri": "file:///claims/x"}}, b"claim_malformed"),
        ({"n": 1}, b"claim_malformed"),
    ],
)
def test_what_is_refused(value: object, kind: bytes) -> None:
    found = admit(OPEN, record_of(value, HEADER), MOMENT)
    headers = dict(found.headers)
    assert (found.topic, headers["penstock.error.kind"], headers["penstock.claim"]) == ("wf.dead-letter", kind, b"1")


def test_without_stores_every_claim_is_refused() -> None:
    assert dict(admit(CLOSED, record_of(CLAIM, HEADER), MOMENT).headers)["penstock.error.kind"] == b"claim_refused"


def answered(workflow: CompiledWorkflow, output: object, *headers: tuple[str, bytes]) -> ResultReceived:
    said = {"type": "result", "run_id": "r", "node": "b", "epoch": 0, "attempt": 1, "output": output}
    (found,) = command(workflow, record_of(said, *headers), MOMENT)
    assert isinstance(found.value, ResultReceived), found
    return found.value


def test_an_app_answers_with_a_claim_and_a_header_says_so() -> None:
    assert answered(ASKED, CLAIM, HEADER).output == text_of(CLAIM)
    plain = answered(ASKED, CLAIM)
    assert (is_claim(plain.output), plain.error) == (False, None)
    for output, kind in (
        (claim_of("file:///other/x", 1, SHA), "claim_refused"),
        (claim_of("file:///claims/x", 1, SHA, "text/plain"), "claim_malformed"),
        ({"n": 1}, "claim_malformed"),
    ):
        error = answered(ASKED, output, HEADER).error
        assert error is not None
        assert (error.kind, error.retryable) == (kind, False)


def test_an_answer_that_no_record_holds_is_told_to_be_claimed() -> None:
    checked = compile_workflow(
        plan_of(CHAIN, nodes={"b": external("b")}, claim_check=ClaimCheck("file:///claims", 1_024))
    )
    assert checked.limits.on_default
    fits = {"text": "x" * (checked.limits.output - 11)}
    assert answered(checked, fits).output is not None
    error = answered(checked, {"text": fits["text"] + "x"}).error
    assert error is not None
    assert (error.kind, "claim store" in error.message) == ("too_large", True)


def test_what_a_review_hands_on_can_be_decided_on_beside_what_it_claims() -> None:
    reviewed = value_of(written({"decision": "approve", "output": CLAIM}))
    assert compile_condition('gate.decision == "approve"', ("gate",)).evaluate({"gate": reviewed})
    for source in ("gate.output.n == 1", "size(gate) == 2"):
        with pytest.raises(ExpressionError, match="gate has 20 bytes and is in the claim store"):
            compile_condition(source, ("gate",)).evaluate({"gate": reviewed})


def test_no_expression_reads_a_claim_and_others_go_on() -> None:
    inputs = {"input": CLAIM, "up": {"label": "a"}}
    assert compile_condition('up.label == "a"', ("input", "up")).evaluate(inputs)
    for source in ("input.n == 1", "size(input) > 0", "has(input.n)"):
        with pytest.raises(ExpressionError, match="input has 20 bytes and is in the claim store"):
            compile_condition(source, ("input", "up")).evaluate(inputs)
    with pytest.raises(ExpressionError, match="claim store"):
        compile_interpolation("${input.id}", ("input",)).evaluate(inputs)
