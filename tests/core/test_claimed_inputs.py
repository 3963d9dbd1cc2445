"""Claims among inputs: a header makes one, an allowed store is needed, and no expression reads one."""

from __future__ import annotations

import json

import pytest

from schemas.claims import PREFIX, Claim, claim_of, is_claim, text_of, value_of
from schemas.records import Started
from streams.core.compiled import compile_workflow
from streams.core.inbound import Inbound
from streams.core.intake import admit
from tests.core.examples import MOMENT, inbound
from tests.plans import CHAIN, plan_of
from topology.expressions import ExpressionError, compile_condition, compile_interpolation

SHA = "ab" * 32
CLAIM = claim_of("file:///claims/x", 20, SHA)
HEADER = ("penstock.claim", b"1")
OPEN = compile_workflow(plan_of(CHAIN), stores=("file:///claims",))
CLOSED = compile_workflow(plan_of(CHAIN))
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


def test_no_expression_reads_a_claim_and_others_go_on() -> None:
    inputs = {"input": CLAIM, "up": {"label": "a"}}
    assert compile_condition('up.label == "a"', ("input", "up")).evaluate(inputs)
    for source in ("input.n == 1", "size(input) > 0", "has(input.n)"):
        with pytest.raises(ExpressionError, match="input has 20 bytes and is in the claim store"):
            compile_condition(source, ("input", "up")).evaluate(inputs)
    with pytest.raises(ExpressionError, match="claim store"):
        compile_interpolation("${input.id}", ("input",)).evaluate(inputs)
