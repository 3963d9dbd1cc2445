"""`worker --metrics-port` and OTLP metrics of a real worker: what is told equals what the provider counted and the results say."""

import asyncio
import json
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock.devkafka import ports
from tests.cli.conftest import Cli, provider_process, write_workflow
from tests.kafka_tools import until_no_lag
from tests.otlp_receiver import Receiver

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

WORKFLOW = """workflow:
  id: {id}
  version: 1.0.0
  budget: {{max_tokens: 100000, max_cost_usd: 10}}
  nodes:
    - {{id: ask, type: llm, model: m, prompt_template: ask.j2, max_retries: 1, backoff_ms: 10}}
    - {{id: check, type: function, handler: check.py, dependencies: [ask], max_retries: 0}}
"""
HANDLER = """
def handle(inputs, context):
    if inputs["input"]["bad"]:
        raise ValueError("bad")
    return {}
"""
PATIENCE_S = 90

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(port: int) -> Series:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def until(port: int, name: str, value: float, **labels: str) -> Series:
    """Scrape until a series has a value."""
    last = time.monotonic() + PATIENCE_S
    while time.monotonic() < last:
        found = scrape(port)
        if found.get((name, frozenset(labels.items()))) == value:
            return found
    raise AssertionError(f"{name} {labels} is never {value}: {[k for k in found if k[0] == name]}")


def start_provider(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> str:
    """Start a provider whose first answer is no completion, with prices; return where its ledger is."""
    config = cli.folder / "provider.json"
    config.write_text(json.dumps({"rules": [{"sequence": ["http_500"]}]}))
    told = provider_process(cli, "--config", str(config))
    (cli.folder / "penstock.toml").write_text(
        f'[providers.acme]\nbase_url = "{told["base_url"]}"\napi_key_env = "ACME_KEY"\nmodels = ["m"]\n'
        "[providers.acme.prices.m]\ninput_per_mtok = 1.0\noutput_per_mtok = 2.0\n"
    )
    monkeypatch.setenv("ACME_KEY", "sk-0123456789")
    return str(told["admin_url"])


def test_a_workers_metrics(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver, port = Receiver(), ports.any_free()
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{receiver.endpoint}/v1/metrics")
    (cli.folder / "ask.j2").write_text("{{ input.bad }}?")
    (cli.folder / "check.py").write_text(HANDLER)
    workflow, file = write_workflow(cli.folder, WORKFLOW)
    admin = start_provider(cli, monkeypatch)
    worker = cli.worker(file, "--metrics-port", str(port))
    inputs = cli.folder / "inputs.jsonl"
    inputs.write_text('{"bad": false}\n{"bad": false}\n{"bad": true}\n')
    cli("publish", workflow, "--input-file", inputs)
    results = cli("consume", workflow, "--max", "3", "--json").json
    assert cli.bootstrap is not None
    asyncio.run(until_no_lag(cli.bootstrap, f"penstock.{workflow}"))
    until(port, "penstock_runs_total", 2, workflow=workflow, status="success")
    found = until(port, "penstock_backlog_cost_usd", 0, workflow=workflow)
    assert_counted(found, workflow)
    with urllib.request.urlopen(f"{admin}/calls") as answer:
        ledger = json.loads(answer.read())
    of_ask = {"workflow": workflow, "node": "ask", "model": "m"}
    assert value(found, "penstock_tokens_total", direction="input", **of_ask) == ledger["prompt_tokens"]
    assert value(found, "penstock_tokens_total", direction="output", **of_ask) == ledger["completion_tokens"]
    spent = value(found, "penstock_cost_usd_total", **of_ask)
    assert spent == pytest.approx(sum(result["cost_usd"] for result in results))
    lags = {labels: behind for (name, labels), behind in found.items() if name == "penstock_consumer_lag"}
    topics = {dict(labels)["topic"] for labels in lags}
    assert {f"{workflow}.input", f"{workflow}.run", f"{workflow}.ask"} <= topics
    assert set(lags.values()) == {0}
    worker.terminate()
    assert worker.wait() == 0
    pushed = receiver.metrics  # once more at the end
    assert {point.as_double for point in pushed["penstock_runs_total"].sum.data_points} == {1, 2}
    assert sum(point.count for point in pushed["gen_ai.client.operation.duration"].histogram.data_points) == 4
    receiver.close()


def assert_counted(found: Series, workflow: str) -> None:
    ask, check = {"workflow": workflow, "node": "ask"}, {"workflow": workflow, "node": "check"}
    assert value(found, "penstock_runs_total", workflow=workflow, status="failed") == 1
    assert value(found, "penstock_node_attempts_total", outcome="success", **ask) == 3
    assert value(found, "penstock_node_attempts_total", outcome="failed", **ask) == 1
    assert value(found, "penstock_attempt_errors_total", error="provider_unavailable", **ask) == 1
    assert value(found, "penstock_node_results_total", kind="function", status="failed", **check) == 1
    assert value(found, "penstock_node_success_ratio", **check) == pytest.approx(2 / 3)
    assert value(found, "penstock_node_duration_seconds_count", kind="llm", **ask) == 3
    assert value(found, "penstock_attempt_duration_seconds_count", kind="llm", **ask) == 4
    assert value(found, "penstock_queue_wait_seconds_count", kind="llm", **ask) == 4
    assert value(found, "penstock_ledger_reservations", workflow=workflow) == 0
    assert value(found, "penstock_backlog_runs", workflow=workflow) == 0
    assert value(found, "penstock_restore_duration_seconds_count", workflow=workflow) >= 1


def value(found: Series, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]
