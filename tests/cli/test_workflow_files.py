"""check, describe, and what run and worker refuse before anything is started."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import WORKFLOW, Cli, write_workflow


def test_a_good_workflow(offline: Cli, workflow: tuple[str, Path]) -> None:
    answer = offline("check", workflow[1].name)
    assert (answer.code, answer.out, answer.err) == (0, "", f"{workflow[1].name}: ok\n")


def test_every_error_has_its_place(offline: Cli) -> None:
    text = WORKFLOW.replace("nodes.py:add", "absent.py").replace("[add]", "[ad]")
    _, file = write_workflow(offline.folder, text)
    answer = offline("check", file.name)
    assert answer.code == 2
    places = [line.split(" ")[0] for line in answer.out.splitlines()]
    assert places == [f"{file.name}:8:16:", f"{file.name}:12:22:"]
    found = offline("check", file.name, "--json").json
    assert [(f["file"], f["line"], f["col"], f["severity"]) for f in found] == [
        (file.name, 8, 16, "error"),
        (file.name, 12, 22, "error"),
    ]
    assert "'ad'" in found[1]["message"]


@pytest.mark.parametrize("args", [("run", "--input", "1"), ("worker",)], ids=str)
def test_a_handler_that_does_not_import(args: tuple[str, ...], offline: Cli, workflow: tuple[str, Path]) -> None:
    handlers = offline.folder / "nodes.py"
    handlers.write_text("\nimport nowhere_at_all\n")
    answer = offline(args[0], workflow[1], *args[1:])
    assert answer.code == 2
    assert f"{handlers}:2: " in answer.err


def test_one_workflow_in_two_files(offline: Cli, workflow: tuple[str, Path]) -> None:
    answer = offline("worker", workflow[1], workflow[1])
    assert answer.code == 2
    assert repr(workflow[0]) in answer.err


def test_llm_nodes_need_a_provider(offline: Cli) -> None:
    (offline.folder / "p.j2").write_text("Hello")
    text = "workflow:\n  id: {id}\n  version: 1.0.0\n  nodes:\n    - {{id: a, type: llm, model: m, prompt_template: p.j2}}\n"
    _, file = write_workflow(offline.folder, text)
    answer = offline("worker", file, "--bootstrap", "127.0.0.1:1")
    assert answer.code == 2
    assert "--local-model" in answer.err


def test_fresh_is_for_the_embedded_kafka(offline: Cli, workflow: tuple[str, Path]) -> None:
    answer = offline("run", workflow[1], "--input", "1", "--fresh", "--bootstrap", "127.0.0.1:1")
    assert answer.code == 2
    assert "--fresh" in answer.err


def test_describe(offline: Cli, workflow: tuple[str, Path]) -> None:
    workflow_id, file = workflow
    assert workflow_id in offline("describe", file).out
    drawn = offline("describe", file, "--format", "mermaid").out
    assert drawn.startswith(("flowchart", "graph"))
    found = json.loads(offline("describe", file, "--format", "json", "--partitions", "7").out)
    assert (found["workflow"], found["partitions"]) == (workflow_id, 7)
    assert {"from": "add", "to": "twice_it", "kind": "control"} in found["edges"]
    assert offline("describe", file, "--partitions", "7", "--json").object == found
    assert offline("describe", file, "--format", "mermaid", "--json").object == {"mermaid": drawn}
