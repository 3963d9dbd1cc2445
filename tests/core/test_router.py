"""What a router decides without asking anybody: the first rule that holds, or the default where there is no model."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.codec import loads
from schemas.records import Failed, NodeRow, Succeeded
from streams.core.node_agent import decide
from tests.core.examples import MOMENT, root, started
from tests.plans import router

RULES = (("input.n > 10", "big"), ("input.n > 1", "some"))


def ended(text: str, **node: Any) -> Any:
    """Return the record that a router without a dependency ends with on an input, None if it is launched."""
    found = decide(root(**node), None, started(text), MOMENT)
    assert isinstance(found.row, NodeRow)
    if found.launch:
        assert (found.row.status, found.sends) == ("running", ())
        return None
    (sent,) = found.sends
    assert (found.row.status, found.row.closing) == ("waiting", True), "it takes effect when read back"
    return sent.value


@pytest.mark.parametrize(
    ("n", "route", "confidence", "by"),
    [(11, "big", 1.0, "rule:0"), (2, "some", 1.0, "rule:1"), (1, "other", 0.0, "default")],
)
def test_the_first_rule_that_holds_decides(n: int, route: str, confidence: float, by: str) -> None:
    record = ended(f'{{"n":{n}}}', **router(*RULES))
    assert isinstance(record, Succeeded)
    assert loads(record.output) == {"route": route, "confidence": confidence, "by": by}
    assert (record.spent.cost_usd, record.spent.prompt_tokens, record.model) == (0.0, 0, None)


def test_where_none_holds_the_model_is_asked() -> None:
    assert ended('{"n":1}', **router(*RULES, model=True)) is None
    assert isinstance(ended('{"n":11}', **router(*RULES, model=True)), Succeeded), "not where one does"


def test_a_rule_that_cannot_be_evaluated_fails_the_node() -> None:
    record = ended('{"m":1}', **router(*RULES))
    assert isinstance(record, Failed)
    assert (record.error.kind, record.error.retryable) == ("expression", False)
