from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.topology.workflow_files import errors, function, llm, load, nodes
from topology.compile import hash_of, plan_as_json
from topology.describe import UnknownFormat, describe, description
from topology.diagnostics import WorkflowErrors
from topology.load import load_workflow
from topology.plan import LlmPlan, RetryPolicy, TablePlan, TopicPlan, WorkflowPlan
from topology.spec import json_schema

TEXT = nodes(llm("dead_end", more=", output_schema: schemas/open.json") + function("b", "dead_end"))


def plan() -> WorkflowPlan:
    return load(TEXT).require_plan()


def test_defaults() -> None:
    node = plan().node("dead_end")
    assert (node.join, node.retry, node.timeout_ms, node.concurrency) == (
        "all_success",
        RetryPolicy(2, 1000),
        60_000,
        64,
    )
    assert node.llm == LlmPlan(("m",), "{{ input.text }}\n", "prompts/p.j2", {"type": "object"}, 1024, None, {})
    assert (plan().run_id_from, plan().state_retention_ms, plan().partitions) == ("auto", 604_800_000, 4)


def test_topics_and_tables() -> None:
    month = 2_592_000_000
    assert plan().topics == (
        TopicPlan("w.input", "input", "delete", -1),
        TopicPlan("w.control", "control", "delete", month),
        TopicPlan("w.run", "run", "delete", -1),
        TopicPlan("w.dead-end", "journal", "delete", -1),
        TopicPlan("w.b", "journal", "delete", -1),
        TopicPlan("w.retry", "retry", "delete", month),
        TopicPlan("w.dead-letter", "dead-letter", "delete", -1),
        TopicPlan("w.output", "output", "delete", -1),
    )
    assert plan().tables == (
        TablePlan("dead-end", "penstock.w-dead-end-changelog"),
        TablePlan("b", "penstock.w-b-changelog"),
        TablePlan("run", "penstock.w-run-changelog"),
        TablePlan("timers", "penstock.w-timers-changelog"),
    )


def test_the_hash_is_over_everything_but_the_machine(tmp_path: Path) -> None:
    first = plan()
    assert hash_of(first) == first.plan_hash
    assert load(TEXT, prompts__p_j2="{{ input.other }}").require_plan().plan_hash != first.plan_hash
    assert load(TEXT, schemas__open_json='{"type": "object", "title": "x"}').require_plan().plan_hash != first.plan_hash
    assert load(TEXT, handlers__h_py="# other code").require_plan().plan_hash == first.plan_hash
    assert hash_of(replace(first, partitions=5)) != first.plan_hash
    for name, text in {
        "w.yaml": TEXT,
        "prompts/p.j2": "{{ input.text }}\n",
        "schemas/open.json": '{"type":"object"}',
        "handlers/h.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    elsewhere = load_workflow(tmp_path / "w.yaml").require_plan()
    assert elsewhere.plan_hash == first.plan_hash
    for format in ("text", "mermaid", "json"):
        assert str(tmp_path) not in describe(elsewhere, format)
    assert str(tmp_path) not in str(plan_as_json(elsewhere))


def test_errors_can_be_raised() -> None:
    with pytest.raises(WorkflowErrors, match=r"w\.yaml:1:1: the file is empty"):
        load("").require_plan()


def test_description_as_json() -> None:
    described = description(plan())
    assert list(described) == ["workflow", "version", "partitions", "nodes", "topics", "tables", "promises", "edges"]
    assert described["edges"] == [{"from": "dead_end", "to": "b", "kind": "control"}]
    assert described["nodes"][1] == {
        "id": "b",
        "type": "function",
        "sources": ["w.run", "w.dead-end", "w.b"],
        "topic": "w.b",
        "table": "b",
        "dependencies": ["dead_end"],
        "reads": ["dead_end"],
        "reads_input": True,
        "join": "all_success",
        "when": None,
        "idempotency_key": None,
        "retry": {"max_retries": 2, "backoff_ms": 1000},
        "timeout_ms": 60_000,
        "concurrency": 64,
        "handler": "handlers/h.py",
    }


def test_mermaid_ids_are_no_keywords_and_labels_are_escaped() -> None:
    text = nodes(function("end", more=", when: 'input.x < 1 && input.y != \"#\"'"))
    assert describe(load(text).require_plan(), "mermaid").splitlines()[2:] == [
        '  end_["end<br/>function handlers/h.py<br/>when input.x #lt; 1 #38;#38; input.y != #quot;#35;#quot;"]',
        '  output(["w.output"])',
        "  input --> end_",
        "  end_ --> output",
    ]


def test_how_a_handler_is_called_is_described() -> None:
    text = nodes(
        function("a", more=", executor: process") + function("b", more=", batch: {max_size: 9, max_wait_ms: 5}")
    )
    plan = load(text).require_plan()
    first, second = description(plan)["nodes"]
    assert (first["executor"], second["batch"]) == ("process", {"max_size": 9, "max_wait_ms": 5})
    assert "executor" not in second
    for said in ("handlers/h.py in a process", "handlers/h.py by 9"):
        assert said in describe(plan, "text")
        assert said in describe(plan, "mermaid")


def test_kinds_that_do_not_execute_are_described() -> None:
    text = nodes("- {id: a, type: external}\n- {id: b, type: review, dependencies: [a]}\n")
    described = description(load(text).require_plan())
    assert [(node["id"], node["type"], node["reads"]) for node in described["nodes"]] == [
        ("a", "external", []),
        ("b", "review", ["a"]),
    ]


@pytest.mark.parametrize(("format", "message"), [("svg", "is not one of text, mermaid, json, asyncapi")])
def test_formats_that_are_not_there(format: str, message: str) -> None:
    with pytest.raises(UnknownFormat, match=message):
        describe(plan(), format)


def test_the_schema_of_the_file_is_the_one_checked_in() -> None:
    assert Path("docs/workflow-schema.json").read_text() == json_schema(), (
        "run: python -m topology.spec > docs/workflow-schema.json"
    )


def test_the_package_imports_nothing_that_runs() -> None:
    forbidden = "{'faust', 'aiokafka', 'openai', 'opentelemetry'}"
    code = f"import sys, topology.load, topology.describe; print(sorted({forbidden} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_ten_thousand_characters_of_a_condition_are_fine() -> None:
    condition = "input.x == '" + "x" * 9000 + "'"
    assert errors(nodes(function("a", more=f', when: "{condition}"'))) == []
