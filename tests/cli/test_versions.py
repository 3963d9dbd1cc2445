"""Versions on real Kafka: workers of two of them side by side, and a worker whose structure does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.cli.conftest import Cli, assert_clean, start_provider, write_workflow

pytestmark = pytest.mark.kafka

TWO_PROMPTS = """workflow:
  id: {id}
  version: {{version}}
  nodes:
    - {{{{id: draft, type: llm, model: m, prompt_template: {{which}}-draft.j2, output_schema: said.json}}}}
    - {{{{id: polish, type: llm, model: m, prompt_template: {{which}}-polish.j2, output_schema: said.json, dependencies: [draft]}}}}
"""
SAID = {
    "type": "object",
    "properties": {"said": {"type": "string"}},
    "required": ["said"],
    "additionalProperties": False,
}


def write_versions(folder: Path) -> tuple[str, Path, Path]:
    """Write two versions of a workflow that differ in their prompts; return its id and the files."""
    workflow, file = write_workflow(folder, TWO_PROMPTS)
    text = file.read_text()
    files = []
    for version, which in (("1.0.0", "old"), ("2.0.0", "new")):
        files.append(folder / f"{which}.yaml")
        files[-1].write_text(text.format(version=version, which=which))
        (folder / f"{which}-draft.j2").write_text(f"{which.upper()} draft of {{{{ input.n }}}}")
        (folder / f"{which}-polish.j2").write_text(f"{which.upper()} polish of {{{{ draft.said }}}}")
    (folder / "said.json").write_text(json.dumps(SAID))
    return workflow, files[0], files[1]


def answer_by_prompt(told: dict[str, str]) -> None:
    """Have the provider answer what it was asked: so a run's result says which prompts it met."""
    asked = ("OLD polish of old draft", "NEW polish of new draft", "OLD draft", "NEW draft")
    rules: list[dict[str, Any]] = [{"contains": text, "answer": {"said": text.lower()}} for text in asked]
    rules.append({"contains": "polish of", "answer": {"said": "torn"}})
    body = json.dumps({"rules": rules}).encode()
    address = told["base_url"].removesuffix("/v1") + "/admin/config"
    with urlopen(Request(address, body, {"content-type": "application/json"})) as reply:
        assert reply.status == 200


def calls_at(summary: str) -> int:
    with urlopen(summary) as reply:
        return int(json.load(reply)["total"])


def publish(cli: Cli, workflow: str, numbers: range) -> None:
    lines = cli.folder / "inputs.jsonl"
    lines.write_text("".join(json.dumps({"n": n}) + "\n" for n in numbers))
    assert cli("publish", workflow, "--input-file", lines).code == 0


def test_runs_in_flight_end_on_the_old_prompts_and_new_ones_use_the_new(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = start_provider(cli, monkeypatch, "fixed:2000")
    answer_by_prompt(told)
    workflow, old, new = write_versions(cli.folder)
    cli.worker(old)
    publish(cli, workflow, range(30))
    summary = told["base_url"].removesuffix("/v1") + "/admin/summary"
    while calls_at(summary) < 30:
        pass  # the test's timeout is the limit
    cli.worker(new)  # beside the old one: they share the partitions
    publish(cli, workflow, range(100, 130))
    found = cli("consume", workflow, "--max", "60", "--timeout", "90", "--json", timeout=120).json
    said = {(result["workflow_version"], result["outputs"]["polish"]["said"]) for result in found if result["outputs"]}
    assert said == {("1.0.0", "old polish of old draft"), ("2.0.0", "new polish of new draft")}
    assert [result["workflow_version"] for result in found].count("2.0.0") == 30
    assert_clean(cli, workflow)


def test_another_structure_is_refused_at_the_start(cli: Cli, workflow: tuple[str, Path]) -> None:
    _, file = workflow
    worker = cli.worker(file)
    text = file.read_text()
    changed = cli.folder / "changed.yaml"
    changed.write_text(text + "    - {id: more, type: function, handler: nodes.py:wait, dependencies: [twice_it]}\n")
    for command in (("worker", changed), ("run", changed, "--input", '{"n": 1}')):
        refused = cli(*command)
        assert refused.code == 2, refused
        assert "node 'more' is new" in refused.err
        assert "new id" in refused.err
    changed.write_text(text.replace("max_retries: 1", "max_retries: 3"))
    cli.worker(changed)
    assert worker.poll() is None


def test_a_version_with_a_table_of_its_own_ends_workers_that_lack_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    start_provider(cli, monkeypatch, "fixed:0")
    workflow, old, new = write_versions(cli.folder)
    new.write_text(new.read_text().replace("  nodes:", "  budget: {max_tokens: 100000}\n  nodes:"))
    without = cli.worker(old)
    cli.worker(new)
    _, err = without.communicate(timeout=60)
    assert without.returncode == 1
    assert "start it again" in err
    again = cli.worker(old)  # with the same file: it is current again, and holds the ledger
    publish(cli, workflow, range(4))
    assert len(cli("consume", workflow, "--max", "4", "--timeout", "60", "--json", timeout=90).json) == 4
    assert again.poll() is None
    assert_clean(cli, workflow)
