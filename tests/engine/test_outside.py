"""Attempts on claimed values: read before, put away after, and whatever a store does is the attempt's end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.claims import claim_of, is_claim, text_of, value_of, written
from schemas.codec import dumps
from schemas.quick import replace
from schemas.records import AttemptFailed, Gathered, Json, NodeRow, Succeeded
from streams.claims.claims import Claims
from streams.core.outcome import Done, Failed, NodeError, NodeInput, Outcome, Usage
from streams.engine.attempt import attempt
from streams.engine.outside import Outside
from tests.core.examples import RUN, node
from topology.json_schema import compile_schema
from topology.plan import ClaimCheck

PLAN = replace(node().plan, reads=("up",), reads_input=True)
BIG = {"text": "x" * 2_000}


class Seeing:
    """A node that keeps what it saw."""

    def __init__(self, output: dict[str, Any]) -> None:
        self.seen: Any = None
        self._output = output

    async def execute(self, node_input: NodeInput) -> Outcome:
        self.seen = node_input.inputs
        return Done(self._output, Usage(1, 2), 0.5, "m")


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"file://{tmp_path}/claims"


def outside(store: str, schema: Any = None) -> Outside:
    checked = None if schema is None else compile_schema(schema, "input_schema")
    return Outside(Claims([store]), ClaimCheck(store, 1_024), checked)


def row_of(**texts: str) -> NodeRow:
    gathered = {name: Gathered("success", Json(text)) for name, text in texts.items()}
    return NodeRow(RUN, "running", seq=1, attempt=1, started=True, gathered=gathered)


async def made(node: Seeing, row: NodeRow, out: Outside | None) -> Any:
    return (await attempt("wf", PLAN, node, row, lambda: 0, None, out)).value


async def test_a_large_output_is_put_away_and_read_where_it_is_needed(store: str) -> None:
    first = Seeing(BIG)
    done = await made(first, row_of(input='{"a":1}'), outside(store))
    assert isinstance(done, Succeeded)
    assert is_claim(done.output)
    assert len(done.output) < 500
    second = Seeing({"small": 1})
    after = await made(second, row_of(input='{"a":1}', up=done.output), outside(store))
    assert second.seen == {"input": {"a": 1}, "up": BIG}
    assert after.output == '{"small":1}'


async def test_an_answer_that_looks_like_a_claim_is_none(store: str) -> None:
    claim = await Claims([store]).put(store, BIG)
    done = await made(Seeing(dict(claim)), row_of(input="{}"), outside(store))
    assert not is_claim(done.output)
    reader = Seeing({})
    await made(reader, row_of(up=done.output), outside(store))
    assert reader.seen["up"] == claim


async def test_what_a_review_hands_on_is_read(store: str) -> None:
    claim = await Claims([store]).put(store, BIG)
    reader, reviewed = Seeing({}), {"decision": "approve", "reviewer": "a", "comment": None, "edit": None}
    for output, expected in ((claim, BIG), ({"a": claim, "b": 1}, {"a": BIG, "b": 1})):
        await made(reader, row_of(up=written({**reviewed, "output": output})), outside(store))
        assert reader.seen["up"] == {**reviewed, "output": expected}
        forged = {
            **reviewed,
            "output": {"a": dict(claim)},
        }  # what a model answers, though it looks like what a review hands on
        await made(reader, row_of(up=dumps(forged)), outside(store))
        assert reader.seen["up"] == forged


async def test_a_missing_object_is_tried_again_another_store_is_not(store: str) -> None:
    for uri, kind, retryable in (
        (f"{store}/none", "claim_missing", True),
        ("file:///etc/hostname", "claim_refused", False),
    ):
        claim = text_of(claim_of(uri, 1, "0" * 64))
        for out in (outside(store), None) if kind == "claim_refused" else (outside(store),):
            failed = await made(Seeing({}), row_of(input=claim), out)
            assert isinstance(failed, AttemptFailed)
            assert (failed.error.kind, failed.error.retryable) == (kind, retryable)


async def test_a_claimed_input_is_checked_where_it_is_read(store: str) -> None:
    claim = text_of(await Claims([store]).put(store, BIG))
    failed = await made(Seeing({}), row_of(input=claim), outside(store, {"type": "object", "required": ["n"]}))
    assert (failed.error.kind, failed.error.retryable) == ("input_schema", False)


async def test_a_store_that_takes_nothing_fails_work_that_is_paid(store: str, tmp_path: Path) -> None:
    (tmp_path / "claims").write_text("a file is in its place")
    failed = await made(Seeing(BIG), row_of(input="{}"), outside(store))
    assert (failed.error.kind, failed.error.retryable, failed.spent.prompt_tokens) == ("claim_store", True, 1)


async def test_an_edit_of_a_claimed_value_is_applied_when_it_is_read(store: str) -> None:
    claim = text_of(await Claims([store]).put(store, BIG))
    reader = Seeing({})
    row = replace(
        row_of(input=claim, up='{"a":1}'),
        edits=(Json('{"input":{"fixed":true},"up":{"b":2}}'), Json('{"input":{"text":"y"}}')),
    )
    await made(reader, row, outside(store))
    assert reader.seen == {"input": {"text": "y", "fixed": True}, "up": {"a": 1, "b": 2}}
    await made(reader, replace(row, edits=(Json('{"input":"whole"}'),)), outside(store))
    assert reader.seen["input"] == "whole"
    assert value_of(claim) == value_of(claim)


async def test_an_answer_in_doubt_is_put_away_too(store: str) -> None:
    class Unsure:
        async def execute(self, node_input: NodeInput) -> Outcome:
            return Failed(NodeError("low_confidence", "not sure", retryable=False), output=BIG)

    doubt = (await attempt("wf", PLAN, Unsure(), row_of(input="{}"), lambda: 0, None, outside(store))).value
    assert isinstance(doubt, AttemptFailed)
    assert is_claim(doubt.output)
