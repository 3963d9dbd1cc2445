"""What an attempt sees and gives that is outside of its records: claimed values are read before it, large outputs are put away after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from schemas.claims import Claim, text_of
from schemas.quick import replace
from schemas.records import Json
from streams.claims.claims import ClaimProblem, Claims
from streams.core.outcome import Done, Failed, NodeError, NodeInput
from topology.json_schema import Schema
from topology.plan import INPUT, ClaimCheck


@dataclass(frozen=True, slots=True)
class Outside:
    """The claim stores as one attempt uses them; `input_schema` is checked here for an input that intake did not read."""

    claims: Claims
    check: ClaimCheck | None = None
    input_schema: Schema | None = None

    async def seen(self, node_input: NodeInput) -> NodeInput | Failed:
        """Return the input with every claimed value in its place, or why one cannot be had."""
        try:
            found = {name: await self._read(name, value) for name, value in node_input.inputs.items()}
        except ClaimProblem as problem:
            return failed(problem)
        return replace(node_input, inputs=found)

    async def put(self, outcome: Done | Failed) -> tuple[Done | Failed, Json | None]:
        """Return an outcome and, if its output is too large for a record, the claim that stands for it; a store that fails fails it."""
        if self.check is None or outcome.output is None:
            return outcome, None
        try:
            if len(orjson.dumps(outcome.output)) <= self.check.above_bytes:
                return outcome, None
            return outcome, text_of(await self.claims.put(self.check.store, outcome.output))
        except TypeError:
            return outcome, None  # no JSON: whoever writes the record says so
        except ClaimProblem as problem:
            return _after(outcome, failed(problem)), None

    async def _read(self, name: str, value: Any) -> Any:
        whole = await self.claims.whole(value)
        if name != INPUT or self.input_schema is None or not isinstance(value, Claim):
            return whole
        if problems := self.input_schema.validate(whole):
            raise ClaimProblem("input_schema", f"{value.uri}: {'; '.join(problems)}", retryable=False)
        return whole


def failed(problem: ClaimProblem) -> Failed:
    """Return the failure that a claimed value brings about."""
    return Failed(NodeError(problem.kind, str(problem), retryable=problem.retryable))


def _after(done: Done | Failed, why: Failed) -> Failed:
    """Return a failure of work that was done and paid for."""
    return replace(why, usage=done.usage, cost_usd=done.cost_usd, model=done.model, metered=done.metered)
