"""The example workflows: they check without a warning, their handlers say what they should, and they run."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from topology.load import load_workflow

WORKFLOWS = Path(__file__).parents[2] / "workflows"
EXAMPLES = sorted(path.parent.name for path in WORKFLOWS.glob("*/workflow.yaml"))


def handler(example: str, name: str) -> ModuleType:
    path = WORKFLOWS / example / "handlers" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{example.replace('-', '_')}_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("example", EXAMPLES)
def test_it_checks_without_a_warning(example: str) -> None:
    loaded = load_workflow(WORKFLOWS / example / "workflow.yaml")
    assert (loaded.errors, loaded.warnings) == ((), ())


@pytest.mark.parametrize(
    ("burden", "amount", "income"), [(0.1509, 3000, 3200), (1.0522, 60000, 2400), (0.2924, 18000, 2900)]
)
def test_what_a_loan_binds(burden: float, amount: float, income: float) -> None:
    found = [json.loads(line) for line in (WORKFLOWS / "loan-review/applications.jsonl").read_text().splitlines()]
    (one,) = [each for each in found if (each["amount_eur"], each["income_eur"]) == (amount, income)]
    assert handler("loan-review", "ratios").handle({"input": one}, None)["burden"] == burden


def test_who_decided_on_a_loan() -> None:
    decide = handler("loan-review", "decide").handle
    application = {"application_id": "A", "amount_eur": 100}
    ruled = {"input": application, "triage": {"route": "decline", "by": "rule:0"}, "committee": None}
    assert decide(ruled, None)["by"] == "rule:0"
    asked = {**ruled, "triage": {"route": "committee", "by": "default"}}
    assert decide(asked, None)["decision"] == "decline"
    approval = {"reviewer": "ada", "edit": {"amount_eur": 60, "conditions": ["c"]}}
    approved = decide({**asked, "committee": approval}, None)
    assert (approved["decision"], approved["by"], approved["amount_eur"]) == ("approve", "ada", 60)


def test_an_article_nobody_knows_fails_alone() -> None:
    found = handler("batch-enrichment", "lookup").handle([{"input": {"sku": s}} for s in ("BK-1", "??", "EL-2")], [])
    assert [isinstance(each, Exception) for each in found] == [False, True, False]


# ---- run, as a reader of the README would ---------------------------------------------------------------------------


@pytest.fixture
def provider() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.provider"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["base_url"]
        finally:
            process.send_signal(signal.SIGTERM)


def run(example: str, inputs: str, provider: str, bootstrap: str, folder: Path) -> list[dict[str, Any]]:
    file, lines = WORKFLOWS / example / "workflow.yaml", WORKFLOWS / example / inputs
    env = {**os.environ, "OPENAI_BASE_URL": provider, "OPENAI_API_KEY": "k", "PENSTOCK_HOME": str(folder)}
    command = [sys.executable, "-m", "penstock", "run", str(file), "--input-file", str(lines)]
    command += ["--bootstrap", bootstrap, "--json", "--timeout", "60"]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.kafka
def test_batch_enrichment(provider: str, bootstrap: str, tmp_path: Path) -> None:
    results = run("batch-enrichment", "articles.jsonl", provider, bootstrap, tmp_path)
    assert len(results) == 60
    failed = [result for result in results if result["status"] != "success"]
    assert ["no such article: ??-1017" in result["nodes"]["lookup"]["error"]["message"] for result in failed] == [True]
    tagged = [result for result in results if result["outputs"]["merge"]["tag"] is not None]
    assert 0 < len(tagged) < 60
    assert all(result["nodes"]["tag"]["status"] in ("success", "skipped") for result in results)


@pytest.mark.kafka
def test_support_chat(provider: str, bootstrap: str, tmp_path: Path) -> None:
    results = run("support-chat", "messages.jsonl", provider, bootstrap, tmp_path)
    assert [list(result["outputs"]) for result in results] == [["answer"], ["answer"]]
    assert all(list(result["nodes"]) == ["answer"] for result in results)


@pytest.mark.kafka
def test_prompt_lab(provider: str, bootstrap: str, tmp_path: Path) -> None:
    results = run("prompt-lab", "topics.jsonl", provider, bootstrap, tmp_path)
    assert [result["status"] for result in results] == ["success"] * 3
