"""`penstock providers`: what settings say of each provider, and what workers of other processes tell of their breakers."""

import asyncio
import json
import signal
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from benchmarks.provider import ProviderServer
from penstock.client.providers import SILENT_MS, lines, standing
from penstock.devkafka import ports
from streams.engine.config import EngineConfig
from streams.engine.topics import ensure_provider_states
from streams.providers import ProviderConfig
from streams.providers.gate import now_ms
from tests.cli.conftest import Cli
from tests.kafka_tools import publish
from topology.naming import provider_states_topic

KEY = "sk-test-0123456789abcdef"
CONFIG = ProviderConfig("acme", SecretStr(KEY), "https://acme.example/v1", ("gpt-4o",), requests_per_minute=100)


def told(state: str, worker: str = "w1", model: str = "gpt-4o", provider: str = "acme") -> dict[str, Any]:
    return {"provider": provider, "model": model, "state": state, "since": 0, "worker": worker, "why": "10 in a row"}


# ---- lines ----------------------------------------------------------------------------------------------------------


def test_while_nobody_tells_anything_all_is_closed() -> None:
    assert lines([CONFIG], []) == [
        {
            "provider": "acme",
            "model": "gpt-4o",
            "state": "closed",
            "since": None,
            "why": None,
            "base_url": "https://acme.example/v1",
            "models": ["gpt-4o"],
            "requests_per_minute": 100,
            "tokens_per_minute": None,
            "workers": [],
        }
    ]


def test_the_default_providers_models_are_unknown_until_one_is_seen() -> None:
    default = ProviderConfig("default", SecretStr(KEY))
    assert [line["model"] for line in lines([default], [])] == ["*"]
    assert [line["model"] for line in lines([default], [told("open", provider="default", model="m")])] == ["m"]


@pytest.mark.parametrize(
    ("states", "worst"),
    [(("closed", "open"), "open"), (("half_open", "closed"), "half_open"), (("open", "half_open"), "open")],
)
def test_the_worst_state_of_any_worker_counts(states: tuple[str, str], worst: str) -> None:
    (line,) = lines([CONFIG], [told(state, worker) for state, worker in zip(states, ("w1", "w2"), strict=True)])
    assert (line["state"], line["since"]) == (worst, "1970-01-01T00:00:00.000Z")
    assert [(of["worker"], of["state"]) for of in line["workers"]] == [("w1", states[0]), ("w2", states[1])]


def test_a_provider_only_a_worker_knows_is_shown() -> None:
    found = lines([CONFIG], [told("open", provider="local")])
    assert [(line["provider"], line["state"]) for line in found] == [("acme", "closed"), ("local", "open")]


@pytest.mark.parametrize("address", [f"https://me:{KEY}@h:1/v1", f"https://{KEY}@h:1/v1", f"https://h:1/v1?key={KEY}"])
def test_an_address_shows_no_secret(address: str) -> None:
    (line,) = lines([ProviderConfig("g", SecretStr("another-key"), address)], [])
    assert line["base_url"] == "https://h:1/v1"


@pytest.mark.parametrize("state", ["open", "half_open"])
@pytest.mark.parametrize("until", [None, 0, 7_000])
def test_what_a_killed_worker_told_is_forgotten(state: str, until: int | None) -> None:
    said = told(state) | {"until": until}
    last = (until or 0) + SILENT_MS
    assert standing([said], last) == [said]
    assert standing([said], last + 1) == []


def test_that_a_breaker_closed_is_not_forgotten() -> None:
    said = told("closed") | {"until": None}
    assert standing([said], 100 * SILENT_MS) == [said]


# ---- the command ----------------------------------------------------------------------------------------------------


@pytest.mark.kafka
def test_without_a_provider_it_says_what_to_do(cli: Cli) -> None:
    answer = cli("providers")
    assert answer.code == 0
    assert "OPENAI_API_KEY" in answer.err


def test_without_a_broker_it_says_how_to_start_one(offline: Cli) -> None:
    answer = offline("providers")
    assert answer.code != 0
    assert "kafka start" in answer.err


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    async with ProviderServer() as running:
        yield running


def write_llm_workflow(folder: Path, server: ProviderServer, provider: str) -> tuple[str, Path]:
    """Write a workflow with one llm node, and settings with a provider of its own."""
    workflow_id = f"providers-{uuid4().hex[:8]}"
    (folder / "p.j2").write_text("Classify: {{ input.text }}\n")
    (folder / "w.yaml").write_text(
        f"workflow:\n  id: {workflow_id}\n  version: 1.0.0\n  nodes:\n"
        "    - {id: classify, type: llm, model: m, prompt_template: p.j2, max_retries: 2, backoff_ms: 20}\n"
    )
    (folder / "penstock.toml").write_text(
        f'[providers.{provider}]\nbase_url = "{server.base_url}"\nmodels = ["m"]\napi_key_env = "TEST_PROVIDER"\n'
        "requests_per_minute = 60000\n"
    )
    return workflow_id, folder / "w.yaml"


async def until(cli: Cli, provider: str, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask until the provider's line is so. The test's timeout is the limit."""
    while True:
        answer = await asyncio.to_thread(cli, "providers", "--json")
        assert answer.code == 0, answer.err
        assert KEY not in answer.out + answer.err
        (line,) = [line for line in answer.json if line["provider"] == provider]
        if enough(line):
            return dict(line)


@pytest.mark.kafka
async def test_a_worker_that_was_killed_long_ago_is_not_shown(cli: Cli, bootstrap: str) -> None:
    old, now = f"old-{uuid4().hex[:8]}", f"new-{uuid4().hex[:8]}"
    await ensure_provider_states(EngineConfig(bootstrap))
    said = [told("open", provider=old), told("open", provider=now) | {"since": now_ms()}]
    await publish(bootstrap, provider_states_topic(), said, [f"{old}/gpt-4o/w1", f"{now}/gpt-4o/w1"])
    answer = await asyncio.to_thread(cli, "providers", "--json")
    assert [line["state"] for line in answer.json if line["provider"] in (old, now)] == ["open"]
    await publish(bootstrap, provider_states_topic(), [None, None], [f"{old}/gpt-4o/w1", f"{now}/gpt-4o/w1"])


@pytest.mark.kafka
async def test_a_breaker_that_opens_in_a_worker_is_seen_here_until_that_worker_ends(
    cli: Cli, server: ProviderServer, bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PROVIDER", KEY)
    provider = f"acme-{uuid4().hex[:8]}"
    workflow_id, file = write_llm_workflow(tmp_path, server, provider)
    server.configure(faults={"rate_limit": 1.0}, retry_after_s=0)
    port = ports.any_free()
    worker = await asyncio.to_thread(cli.worker, file, "--partitions", "1", "--metrics-port", str(port))
    await until(cli, provider, lambda line: (line["state"], line["workers"]) == ("closed", []))
    await publish(bootstrap, f"{workflow_id}.input", [{"text": str(n)} for n in range(20)])

    line = await until(cli, provider, lambda line: line["state"] != "closed")
    assert (line["model"], line["models"], line["requests_per_minute"]) == ("m", ["m"], 60_000)
    assert (line["base_url"], len(line["workers"])) == (server.base_url, 1)
    assert line["since"] is not None

    server.configure(faults={})
    line = await until(cli, provider, lambda line: line["state"] == "closed")
    assert [of["state"] for of in line["workers"]] == ["closed"]
    assert f'penstock_breaker_state{{model="m",provider="{provider}"}} 0.0' in await asyncio.to_thread(metrics, port)
    consumed = await asyncio.to_thread(cli, "consume", workflow_id, "--max", "20", "--timeout", "60", "--json")
    assert {json.loads(result)["status"] for result in consumed.out.splitlines()} == {"success"}

    worker.send_signal(signal.SIGTERM)
    _, err = await asyncio.to_thread(worker.communicate)
    assert (worker.returncode, KEY in err) == (0, False)
    line = await until(cli, provider, lambda line: not line["workers"])
    assert line["state"] == "closed"


def metrics(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode()).splitlines()
