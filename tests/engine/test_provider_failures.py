"""A model's provider that fails, over real HTTP, in workflows on real Kafka: what is called, how runs end, what is in the journals."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from benchmarks.provider import ProviderServer, Rule
from penstock.client.workflows import topics_on
from schemas.codec import decode
from schemas.headers import header
from schemas.records import AttemptDeferred, AttemptFailed, LedgerRow, ModelSwitched, Succeeded
from streams.audit.audit import Terms
from streams.audit.read import audit_workflow
from streams.bootstrap import engine_of
from streams.core.ledger import day_of
from streams.engine.config import EngineConfig
from streams.engine.engine import now_ms
from streams.errors import ProviderConfigError
from streams.nodes import Resources
from streams.providers import Price, ProviderConfig, ProviderRegistry
from tests.kafka_tools import publish, read_all, read_until, results, running, unique, until_no_lag
from topology.load import load_workflow
from topology.naming import consumer_group
from topology.plan import WorkflowPlan

pytestmark = pytest.mark.kafka

SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "confidence": {"type": "number"}},
    "required": ["label", "confidence"],
    "additionalProperties": False,
}
SURE = {"label": "invoice", "confidence": 0.9}
UNSURE = {"label": "invoice", "confidence": 0.2}


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    async with ProviderServer() as running_server:
        running_server.configure(rules=(Rule(answer=SURE),))
        yield running_server


@pytest.fixture
async def resources(server: ProviderServer) -> AsyncIterator[Resources]:
    prices = {"m": Price(1.0, 2.0), "n": Price(0.1, 0.2)}
    config = ProviderConfig("default", SecretStr("sk-test-0123456789abcdef"), server.base_url, prices=prices)
    made = Resources(ProviderRegistry([config]))
    yield made
    await made.aclose()


def workflow(folder: Path, classify: str = "", more: str = "") -> WorkflowPlan:
    """Return the plan of `classify -> extract`, two llm nodes."""
    (folder / "p.j2").write_text("Classify: {{ input.text }}\n")
    (folder / "s.json").write_text(json.dumps(SCHEMA))
    node = "type: llm, model: m, prompt_template: p.j2, output_schema: s.json, max_retries: 2, backoff_ms: 20"
    (folder / "w.yaml").write_text(
        f"workflow:\n  id: {unique('llm')}\n{more}  nodes:\n"
        f"    - {{id: classify, {node}{classify}}}\n"
        f"    - {{id: extract, {node}, dependencies: [classify]}}\n"
    )
    loaded = load_workflow(folder / "w.yaml", partitions=2)
    assert loaded.plan is not None, loaded.errors
    return loaded.plan


async def ended(
    plan: WorkflowPlan, resources: Resources, bootstrap: str, runs: int = 1, text: str = "x"
) -> dict[str, dict[str, Any]]:
    """Let runs r0, r1, ... end; return their results."""
    async with running(engine_of(plan, resources, EngineConfig(bootstrap))):
        keys = [f"r{n}" for n in range(runs)]
        await publish(bootstrap, plan.topic("input"), [{"text": f"{text}{n}"} for n in range(runs)], keys)
        found = await results(bootstrap, plan, runs)
        await until_no_lag(bootstrap, consumer_group(plan.id))
    assert {len(each) for each in found.values()} == {1}
    report = await audited(plan, bootstrap)
    assert report == ()
    return {run: each[0] for run, each in found.items()}


async def audited(plan: WorkflowPlan, bootstrap: str) -> tuple[Any, ...]:
    config = EngineConfig(bootstrap)
    report = await audit_workflow(config, plan.id, await topics_on(config), Terms(quiet=True))
    return report.violations


async def journal(plan: WorkflowPlan, bootstrap: str, node: str) -> list[Any]:
    return [decode(record.value) for record in await read_all(bootstrap, plan.node(node).topic)]


def calls_of(server: ProviderServer) -> Counter[tuple[str, str]]:
    """Count the calls by node and model."""
    return Counter(((call.key or "/").split("/")[1], call.model) for call in server.calls)


async def test_what_never_is_valid_json_is_tried_as_often_as_configured(
    tmp_path: Path, server: ProviderServer, resources: Resources, bootstrap: str
) -> None:
    server.configure(faults={"truncated_json": 1.0}, rules=())
    plan = workflow(tmp_path)
    result = (await ended(plan, resources, bootstrap))["r0"]
    assert (result["status"], result["nodes"]["extract"]["status"]) == ("failed", "skipped")
    assert calls_of(server) == {("classify", "m"): 3}
    failed = [record for record in await journal(plan, bootstrap, "classify") if isinstance(record, AttemptFailed)]
    assert [record.error.kind for record in failed] == ["malformed_output"] * 3
    assert len({record.prompt_hash for record in failed[:2]}) == 2, "the second one is told what was wrong"
    (dead,) = await read_until(bootstrap, plan.topic("dead-letter"), bool)
    assert header(dead.headers, "penstock.error.kind") == "malformed_output"
    assert header(dead.headers, "penstock.error.raw") == failed[-1].raw


async def test_another_model_is_asked_when_the_first_one_is_exhausted(
    tmp_path: Path, server: ProviderServer, resources: Resources, bootstrap: str
) -> None:
    server.configure(rules=(Rule(model="m", contains="x0", faults={"http_500": 1.0}), Rule(answer=SURE)))
    plan = workflow(tmp_path, ", fallback_models: [n]")
    result = (await ended(plan, resources, bootstrap))["r0"]
    assert result["nodes"]["classify"]["status"] == "success"
    assert result["nodes"]["classify"]["attempts"] == 4
    assert calls_of(server)[("classify", "m")] == 3
    assert calls_of(server)[("classify", "n")] == 1
    (switch,) = [r for r in await journal(plan, bootstrap, "classify") if isinstance(r, ModelSwitched)]
    assert (switch.from_model, switch.to_model, switch.reason) == ("m", "n", "retries_exhausted")


async def test_a_throttled_model_is_left_at_once_if_the_workflow_says_so(
    tmp_path: Path, server: ProviderServer, resources: Resources, bootstrap: str
) -> None:
    server.configure(
        rules=(Rule(model="m", key_contains="/classify/", faults={"rate_limit": 1.0}), Rule(answer=SURE)),
        retry_after_s=3600.0,
    )
    plan = workflow(tmp_path, ", fallback_models: [n], on_rate_limit: fallback")
    result = (await ended(plan, resources, bootstrap))["r0"]
    assert result["nodes"]["classify"]["attempts"] == 2, "an hour is not waited for"
    assert calls_of(server)[("classify", "m")] == calls_of(server)[("classify", "n")] == 1
    (switch,) = [r for r in await journal(plan, bootstrap, "classify") if isinstance(r, ModelSwitched)]
    assert (switch.from_model, switch.to_model, switch.reason) == ("m", "n", "rate_limited")


@pytest.mark.parametrize(
    ("more", "status", "calls"),
    [
        (", min_confidence: 0.6", "stopped", {("classify", "m"): 1}),
        (
            ", min_confidence: 0.6, on_low_confidence: fallback, fallback_models: [n]",
            "success",
            {("classify", "m"): 1, ("classify", "n"): 1, ("extract", "m"): 1},
        ),
    ],
    ids=["stop", "fallback"],
)
async def test_an_answer_in_doubt(
    tmp_path: Path,
    server: ProviderServer,
    resources: Resources,
    bootstrap: str,
    more: str,
    status: str,
    calls: dict[tuple[str, str], int],
) -> None:
    rules = (Rule(model="m", key_contains="/classify/", answer=UNSURE), Rule(answer=SURE))
    server.configure(rules=rules)
    plan = workflow(tmp_path, more)
    result = (await ended(plan, resources, bootstrap))["r0"]
    assert (result["status"], calls_of(server)) == (status, calls)
    assert await read_all(bootstrap, plan.topic("dead-letter")) == []


async def test_a_budget_that_fits_one_call(
    tmp_path: Path, server: ProviderServer, resources: Resources, bootstrap: str
) -> None:
    plan = workflow(tmp_path, ", max_output_tokens: 100", "  budget: {max_tokens: 1200}\n")
    found = await ended(plan, resources, bootstrap, runs=10)
    assert calls_of(server) == {("classify", "m"): 10}, "extract's call may use 1024 tokens and its prompt"
    assert {result["status"] for result in found.values()} == {"failed"}
    assert {result["nodes"]["extract"]["error"]["kind"] for result in found.values()} == {"budget"}
    rows = [decode(r.value) for r in await read_all(bootstrap, f"penstock.{plan.id}-ledger-changelog") if r.value]
    ledgers = [row for row in rows if isinstance(row, LedgerRow)]
    assert all(row.spent_tokens + sum(h.tokens for h in row.reserved.values()) <= 1200 for row in ledgers)
    last = {row.run_id: row for row in ledgers}
    used = {run: result["usage"]["total_tokens"] for run, result in found.items()}
    assert {run: row.spent_tokens for run, row in last.items()} == used


async def test_a_budget_in_dollars_takes_the_cheaper_model(
    tmp_path: Path, server: ProviderServer, resources: Resources, bootstrap: str
) -> None:
    plan = workflow(tmp_path, ", fallback_models: [n]", "  budget: {max_cost_usd: 0.0021}\n")
    result = (await ended(plan, resources, bootstrap))["r0"]
    assert calls_of(server) == {("classify", "n"): 1}
    assert result["nodes"]["classify"]["model"] == "n"
    assert result["nodes"]["extract"]["error"]["kind"] == "budget", "it has no cheaper one"


def test_a_budget_in_dollars_without_a_price_is_refused(tmp_path: Path) -> None:
    plan = workflow(tmp_path, more="  budget: {max_cost_usd: 1}\n")
    config = ProviderConfig("default", SecretStr("none"), "http://127.0.0.1:1/v1", prices={})
    resources = Resources(ProviderRegistry([config]))
    with pytest.raises(ProviderConfigError, match=r"budget.max_cost_usd cannot be kept: the price of model 'm'"):
        engine_of(plan, resources, EngineConfig("127.0.0.1:1"))


async def test_the_first_call_waits_for_no_import(tmp_path: Path, bootstrap: str) -> None:
    """A second or two in which the loop would do nothing else: a worker that is ready has imported what its calls need."""
    workflow(tmp_path)
    (tmp_path / "prepare.py").write_text(PREPARE)
    command = [sys.executable, str(tmp_path / "prepare.py"), str(tmp_path / "w.yaml"), bootstrap]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert json.loads(out) == {"before": [], "after": ["genai_prices", "openai"]}


PREPARE = """
import asyncio, json, sys
from pydantic import SecretStr
from streams.bootstrap import engine_of
from streams.engine.config import EngineConfig
from streams.nodes import Resources
from streams.providers import ProviderConfig, ProviderRegistry
from topology.load import load_workflow

def imported():
    return sorted({"openai", "genai_prices"} & set(sys.modules))

async def main(file, bootstrap):
    before = imported()
    resources = Resources(ProviderRegistry([ProviderConfig("default", SecretStr("none"), "http://127.0.0.1:1/v1")]))
    await engine_of(load_workflow(file, partitions=2).plan, resources, EngineConfig(bootstrap)).prepare()
    print(json.dumps({"before": before, "after": imported()}))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_daily_budget_ends_the_day(
    tmp_path: Path, server: ProviderServer, resources: Resources, bootstrap: str
) -> None:
    plan = workflow(tmp_path, more="  daily_budget: {max_tokens: 2300}\n")
    found = await ended(plan, resources, bootstrap, runs=20)
    assert Counter(result["status"] for result in found.values())["failed"] > 0
    spent = sum(result["usage"]["total_tokens"] for result in found.values())
    assert 0 < spent <= 2300


async def test_a_daily_budget_holds_for_all_workers(
    tmp_path: Path, server: ProviderServer, resources: Resources, bootstrap: str
) -> None:
    """Each knows what the other has spent, from the changelog; what is in flight elsewhere may go over it."""
    plan = workflow(tmp_path, ", max_output_tokens: 100", "  daily_budget: {max_tokens: 3000}\n")
    engines = [engine_of(plan, resources, EngineConfig(bootstrap)) for _ in range(2)]
    async with running(engines[0]), running(engines[1]):
        for first in range(0, 60, 5):  # a few at a time: each batch sees what the one before has spent
            keys = [f"r{n}" for n in range(first, first + 5)]
            await publish(bootstrap, plan.topic("input"), [{"text": key} for key in keys], keys)
            found = await results(bootstrap, plan, first + 5)
        await until_no_lag(bootstrap, consumer_group(plan.id))
        done = [each[0] for each in found.values()]
        spent = sum(result["usage"]["total_tokens"] for result in done)
        today = day_of(now_ms())
        async with asyncio.timeout(20):  # what one spent the other one knows, a moment later
            while sum(engine._processor._elsewhere(today).tokens for engine in engines) != spent:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    kinds = Counter(of["error"]["kind"] for result in done for of in result["nodes"].values() if of["error"])
    assert set(kinds) == {"budget"}
    assert spent <= 3000
    assert await audited(plan, bootstrap) == ()


async def test_a_deadline_aborts_the_call(
    tmp_path: Path, server: ProviderServer, resources: Resources, bootstrap: str
) -> None:
    server.configure(faults={"hang": 1.0}, rules=())
    plan = workflow(tmp_path, more="  deadline_ms: 700\n")
    result = (await ended(plan, resources, bootstrap))["r0"]
    assert result["status"] == "cancelled"
    assert result["nodes"]["classify"]["error"]["kind"] == "deadline"
    assert len(server.calls) == 1
    await server._quiet.wait()  # the aborted call's connection is closed


async def test_a_provider_that_throttles_for_a_while_fails_no_run(
    tmp_path: Path, server: ProviderServer, resources: Resources, bootstrap: str
) -> None:
    server.configure(faults={"rate_limit_ms": 1.0}, rules=(), retry_after_s=0.2)
    plan = workflow(tmp_path)
    async with running(engine_of(plan, resources, EngineConfig(bootstrap))):
        (gate,), opened = resources.providers.gates, asyncio.Event()
        gate.listeners.append(lambda change: opened.set())
        keys = [f"r{n}" for n in range(100)]
        await publish(bootstrap, plan.topic("input"), [{"text": f"x{n}"} for n in range(100)], keys)
        await opened.wait()
        meanwhile = len(server.calls)
        server.configure(faults={}, rules=(Rule(answer=SURE),))
        found = await results(bootstrap, plan, 100)
        await until_no_lag(bootstrap, consumer_group(plan.id))
    assert {each[0]["status"] for each in found.values()} == {"success"}
    assert len(server.calls) == 200 + meanwhile
    deferred = [r for r in await journal(plan, bootstrap, "classify") if isinstance(r, AttemptDeferred)]
    assert {record.reason for record in deferred} <= {"rate_limited", "breaker_open"}
    assert await audited(plan, bootstrap) == ()


async def test_a_rate_limit_of_ours_is_kept_by_the_timer_table(
    tmp_path: Path, server: ProviderServer, bootstrap: str
) -> None:
    config = ProviderConfig("default", SecretStr("none"), server.base_url, requests_per_minute=600)
    resources = Resources(ProviderRegistry([config]))
    plan = workflow(tmp_path)
    found = await ended(plan, resources, bootstrap, runs=30)
    await resources.aclose()
    assert {result["status"] for result in found.values()} == {"success"}
    assert {of["attempts"] for result in found.values() for of in result["nodes"].values()} == {1}
    assert len(server.calls) == 60
    deferred = [r for r in await journal(plan, bootstrap, "classify") if isinstance(r, AttemptDeferred)]
    assert {record.reason for record in deferred} == {"rate_limited"}


async def test_the_journal_keeps_what_was_said(
    tmp_path: Path, server: ProviderServer, resources: Resources, bootstrap: str
) -> None:
    plan = workflow(tmp_path)
    await ended(plan, resources, bootstrap)
    (done,) = await journal(plan, bootstrap, "classify")
    assert isinstance(done, Succeeded)
    assert orjson.loads(done.raw or "") == SURE
    assert len(done.prompt_hash or "") == 64
    assert replace(done, raw=None).metered
