from __future__ import annotations

import pytest

from tests.topology.workflow_files import function, llm, load, nodes

SURE = "output_schema: schemas/sure.json, min_confidence: 0.5"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (llm("a", more=", fallback_models: [n]"), []),
        (llm("a", more=f", {SURE}, on_low_confidence: stop"), []),
        (llm("a", more=f", {SURE}, on_low_confidence: review"), []),
        (llm("a", more=", stream: true"), []),
        (llm("a", more=", stream: false, background: false, fallback_models: []"), []),
        (llm("a", more=", temperature: 0.5, params: {seed: 1}, join: all_done, max_retries: 0"), []),
        (function("a", more=", batch: {max_size: 2, max_wait_ms: 1}"), ["5:73 batch"]),
        (
            function("a", more=", for_each: input.x, max_items: 3, on_item_error: drop"),
            [],
        ),
        (function("a", more=", idempotency_key: '${input.x}', when: input.x == 1"), []),
        ("- {id: a, type: external}\n", []),
        ("- {id: a, type: review}\n", []),
        (
            "- {id: a, type: router, routes: [x], default_route: x, cache_ttl_s: 3, model: m, prompt_template: prompts/p.j2}\n",
            [],
        ),
    ],
)
def test_options_of_nodes(text: str, found: list[str]) -> None:
    loaded = load(nodes(text))
    assert loaded.errors == ()
    assert [
        f"{warning.line}:{warning.col} {warning.message.removeprefix('not in effect yet: ')}"
        for warning in loaded.warnings
    ] == found
    assert set(loaded.not_in_effect) == {entry.split(maxsplit=1)[1] for entry in found}
    assert loaded.plan is not None


@pytest.mark.parametrize(
    "line",
    ["budget: {max_tokens: 5}", "daily_budget: {max_cost_usd: 1}", "deadline_ms: 1000"],
)
def test_options_of_the_workflow(line: str) -> None:
    loaded = load(nodes(function("a")).replace("1.0.0", f"1.0.0\n  {line}"))
    assert (loaded.warnings, loaded.errors, loaded.not_in_effect) == ((), (), ())


def test_an_option_used_twice_is_named_once() -> None:
    batch = ", batch: {max_size: 2, max_wait_ms: 1}"
    loaded = load(nodes(function("a", more=batch) + function("b", more=batch)))
    assert len(loaded.warnings) == 2
    assert loaded.not_in_effect == ("batch",)
