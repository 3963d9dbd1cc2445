"""Every kind of bad workflow, with the exact line, column and words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topology.workflow_files import errors, function, llm, load, nodes
from topology.files import MAX_FILE
from topology.load import load_workflow


def test_a_missing_file(tmp_path: Path) -> None:
    loaded = load_workflow(tmp_path / "no.yaml")
    assert [str(error) for error in loaded.errors] == [f"{tmp_path}/no.yaml:1:1: no such file"]


def test_a_directory(tmp_path: Path) -> None:
    assert [str(error) for error in load_workflow(tmp_path).errors] == [f"{tmp_path}:1:1: this is a directory"]


def test_a_name_that_cannot_be_one() -> None:
    assert "cannot be read" in str(load_workflow("a\0b").errors[0])


def test_a_file_of_two_megabytes_is_refused_and_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_bytes(b"a: b\n" * 400_000)
    assert [str(error) for error in load_workflow(path).errors] == [f"{path}:1:1: the file is larger than 1 MB"]


def test_a_file_of_one_megabyte_is_read() -> None:
    text = "#" * (MAX_FILE - 1) + "\n"
    assert errors(text) == ["w.yaml:1:1: the file is empty"]


def test_no_utf8() -> None:
    assert errors("workflow:\n  id: é".encode("latin-1")) == ["w.yaml:2:7: not UTF-8: unexpected end of data"]


def test_a_byte_order_mark_is_no_error() -> None:
    assert load(b"\xef\xbb\xbf" + nodes(function("a")).encode()).errors == ()


def test_windows_line_ends_are_no_error() -> None:
    assert load(nodes(function("a")).replace("\n", "\r\n")).errors == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["w.yaml:1:1: the file is empty"]),
        ("# nothing\n", ["w.yaml:1:1: the file is empty"]),
        ("- a\n", ["w.yaml:1:1: must be a mapping, not a list"]),
        ("a: b: c\n", ["w.yaml:1:5: YAML: mapping values are not allowed here"]),
        ("workflow:\n", ["w.yaml:1:1: workflow must be a mapping, it is empty"]),
        ("id: x\n", ["w.yaml:1:1: 'workflow' is missing", "w.yaml:1:1: unknown key 'id'"]),
        (
            "workflow:\n  nodes: []\n",
            [
                "w.yaml:2:3: workflow: 'id' is missing",
                "w.yaml:2:10: workflow: nodes must not be empty",
            ],
        ),
    ],
)
def test_what_is_no_workflow(text: str, found: list[str]) -> None:
    assert errors(text) == found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            "id: my_flow",
            "2:7: workflow: id 'my_flow' is not allowed: it has letters, digits and '-', and begins with no '-' ",
        ),
        (
            "id: my.flow",
            "2:7: workflow: id 'my.flow' is not allowed: it has letters, digits and '-', and begins with no '-' ",
        ),
        ("id: -x", "2:7: workflow: id '-x' is not allowed"),
        ("id: 5", "2:7: workflow: id must be a string, not 5: write it in quotes"),
        ("id: " + "x" * 129, "2:7: workflow: id has 129 characters, at most 128 are allowed"),
        ("version: 1.2", "3:12: workflow: version must be a string, not 1.2: write it in quotes"),
        ("version: a b", "3:12: workflow: version 'a b' is not allowed"),
        (
            "run_id_from: kye",
            "3:16: workflow: run_id_from must be 'auto', 'key', 'ce_id' or 'offset', not the string 'kye'",
        ),
        ("deadline_ms: 0", "3:16: workflow: deadline_ms must be more than 0, not 0"),
        ("deadline_ms: 1.5", "3:16: workflow: deadline_ms must be an integer, not 1.5"),
        ("deadline_ms:", "3:3: workflow: deadline_ms is empty: give it a value or leave the key out"),
        ("budget: {}", "3:3: workflow: budget needs max_tokens or max_cost_usd"),
        ("budget: {max_cost_usd: .nan}", "3:26: workflow: max_cost_usd must be a finite number, not nan"),
        ("budget: {max_cost_usd: -1}", "3:26: workflow: max_cost_usd must be at least 0, not -1"),
        ("budget: {max_token: 5}", "3:12: workflow: unknown key 'max_token', did you mean 'max_tokens'?"),
        ("budjet: 5", "3:3: workflow: unknown key 'budjet', did you mean 'budget'?"),
    ],
)
def test_keys_of_the_workflow(line: str, found: str) -> None:
    key = line.split(":", maxsplit=1)[0]
    lines = {"id": "id: w", "version": "version: 1.0.0"}
    head = [text for name, text in lines.items() if name != key]
    order = [line, *head] if key == "id" else [head[0], line, *head[1:]]
    text = "workflow:\n" + "".join(f"  {text}\n" for text in order) + "  nodes:\n    " + function("a")
    assert errors(text)[0].startswith(f"w.yaml:{found}")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('max_retries: "2"', "9:20: node 'a': max_retries must be an integer, not the string '2'"),
        ("max_retries: true", "9:20: node 'a': max_retries must be an integer, not true"),
        ("max_retries: 2.0", "9:20: node 'a': max_retries must be an integer, not 2.0"),
        ("max_retries: -1", "9:20: node 'a': max_retries must be at least 0, not -1"),
        ("max_retries: 101", "9:20: node 'a': max_retries must be at most 100, not 101"),
        ("backoff_ms: -1", "9:19: node 'a': backoff_ms must be at least 0, not -1"),
        ("timeout_ms: 0", "9:19: node 'a': timeout_ms must be more than 0, not 0"),
        ("concurrency: 0", "9:20: node 'a': concurrency must be at least 1, not 0"),
        ("temperature: .inf", "9:20: node 'a': temperature must be a finite number, not inf"),
        ("temperature: hot", "9:20: node 'a': temperature must be a number, not the string 'hot'"),
        ("max_output_tokens: 0", "9:26: node 'a': max_output_tokens must be at least 1, not 0"),
        ("min_confidence: 1.5", "9:23: node 'a': min_confidence must be at most 1, not 1.5"),
        ("join: all", "9:13: node 'a': join must be 'all_success', 'any_success' or 'all_done', not the string 'all'"),
        ("when: true", "9:13: node 'a': when must be a string, not true: write it in quotes"),
        ("when:", "9:7: node 'a': when is empty: give it a value or leave the key out"),
        ("when: ''", "9:13: node 'a': when must not be empty"),
        ("dependencies: a", "9:21: node 'a': dependencies must be a list, not the string 'a'"),
        ("dependencies: [1]", "9:22: node 'a': must be a string, not 1: write it in quotes"),
        ("params: [1]", "9:15: node 'a': params must be a mapping, not a list"),
        ("params: {model: x}", "9:23: node 'a': params must not set 'model': penstock sends it itself"),
        ("handler: h.py", "9:7: node 'a': unknown key 'handler'"),
        ("max_retrys: 2", "9:7: node 'a': unknown key 'max_retrys', did you mean 'max_retries'?"),
        ("on_low_confidence: stop", "9:7: node 'a': on_low_confidence needs min_confidence"),
        ("on_rate_limit: fallback", "9:7: node 'a': on_rate_limit: fallback needs fallback_models"),
        ("max_items: 5", "9:7: node 'a': max_items is for nodes with for_each"),
        ("fallback_models: [m]", "9:25: node 'a': fallback model 'm' is the model itself"),
        ("fallback_models: [n, n]", "9:28: node 'a': 'n' is listed twice in fallback_models"),
        ("model: n", "9:7: duplicate key 'model' (first on line 7)"),
    ],
)
def test_keys_of_an_llm_node(line: str, found: str) -> None:
    text = f"""
        - id: a
          type: llm
          model: m
          prompt_template: prompts/p.j2
          {line}
        """
    assert errors(nodes(text.lstrip("\n"))) == [f"w.yaml:{found}"]


@pytest.mark.parametrize(
    ("node", "found"),
    [
        ("- {id: a, type: llm, prompt_template: prompts/p.j2}", "5:7: node 'a': 'model' is missing"),
        ("- {id: a, type: function}", "5:7: node 'a': 'handler' is missing"),
        ("- {id: a}", "5:7: node 'a': 'type' is missing: one of llm, function, router, review, external"),
        (
            "- {id: a, type: lm}",
            "5:21: node 'a': type 'lm' is not one of llm, function, router, review, external, did you mean 'llm'?",
        ),
        ("- {type: external}", "5:7: node 1: 'id' is missing"),
        ("- 5", "5:7: node 1: must be a mapping, not 5"),
        ("- {id: A, type: external}", "5:12: node 'A': id 'A' is not allowed: it has lower-case letters"),
        ("- {id: a-b, type: external}", "5:12: node 'a-b': id 'a-b' is not allowed: it has lower-case letters"),
        (
            f"- {{id: {'a' * 65}, type: external}}",
            f"5:12: node '{'a' * 65}': id has 65 characters, at most 64 are allowed",
        ),
        ("- {id: a, type: router, routes: 5}", "5:37: node 'a': routes must be a list or a mapping, not 5"),
        ("- {id: a, type: router, routes: [x]}", "5:29: node 'a': without a model there must be a default_route"),
        ("- {id: a, type: router, routes: [], default_route: x}", "5:29: node 'a': routes must not be empty"),
        (
            "- {id: a, type: router, routes: [x], default_route: y}",
            "5:42: node 'a': default_route 'y' is not one of the routes",
        ),
        (
            "- {id: a, type: router, routes: [x], default_route: x, rules: [{when: 'true', route: y}]}",
            "5:90: node 'a': route 'y' is not one of the routes",
        ),
        (
            "- {id: a, type: router, routes: [x], default_route: x, rules: [{whn: 'true', route: x}]}",
            "5:68: node 'a': 'when' is missing",
        ),
        (
            "- {id: a, type: router, routes: [x], model: m, default_route: x}",
            "5:42: node 'a': model needs prompt_template",
        ),
        (
            "- {id: a, type: router, routes: [x], default_route: x, min_confidence: 0.5}",
            "5:60: node 'a': min_confidence needs a model",
        ),
        (
            "- {id: a, type: router, routes: [x], model: m, prompt_template: prompts/p.j2, min_confidence: 0.5}",
            "5:83: node 'a': min_confidence needs a default_route: where an answer in doubt goes",
        ),
        (
            "- {id: a, type: review, on_timeout: wait}",
            "5:41: node 'a': on_timeout must be 'reject', 'approve' or 'escalate'",
        ),
        ("- {id: a, type: review, assignees: [x, x]}", "5:44: node 'a': 'x' is listed twice in assignees"),
        (
            "- {id: a, type: review, idempotency_key: '${input.x}'}",
            "5:29: node 'a': idempotency_key is not for review nodes yet",
        ),
        ("- {id: a, type: review, for_each: input.x}", "5:29: node 'a': for_each is not for review nodes yet"),
    ],
)
def test_nodes_of_other_kinds(node: str, found: str) -> None:
    assert errors(nodes(node + "\n"))[0].startswith(f"w.yaml:{found}")


BATCH = ", batch: {max_size: 2, max_wait_ms: 5}"


@pytest.mark.parametrize(
    ("more", "found"),
    [
        (BATCH + ", for_each: input.x", "batch and for_each do not go together yet"),
        (BATCH + ", idempotency_key: '${input.x}'", "idempotency_key is not for batch nodes yet"),
        (BATCH + ", executor: process", "batch and executor: process do not go together yet"),
    ],
)
def test_what_rule_18_refuses(more: str, found: str) -> None:
    assert [error.split(": ", 2)[2] for error in errors(nodes(function("a", more=more)))] == [found]


def test_all_errors_of_a_file_are_reported_in_order() -> None:
    text = nodes(
        "- {id: a, type: llm, model: m, prompt_template: prompts/p.j2, max_retries: '2', x: 1}\n"
        "- {id: b, type: function, handler: handlers/no.py, dependencies: [nope]}\n"
        "- {id: c, type: llm, model: m, prompt_template: prompts/bad.j2, dependencies: [a]}\n"
        "- {id: c, type: external, when: b.x == 1}\n"
    )
    assert errors(text, prompts__bad_j2="{{ b.x }}\n\n{{ aa }}") == [
        "prompts/bad.j2:1:1: node 'c': 'b' is not above 'c': add it to dependencies",
        "prompts/bad.j2:3:1: node 'c': unknown name 'aa', did you mean 'a'?",
        "w.yaml:5:80: node 'a': max_retries must be an integer, not the string '2'",
        "w.yaml:5:85: node 'a': unknown key 'x'",
        "w.yaml:6:40: node 'b': handler 'handlers/no.py': no such file",
        "w.yaml:6:71: node 'b': unknown dependency 'nope'",
        "w.yaml:8:12: duplicate node id 'c': it is also that of node 3",
        "w.yaml:8:37: node 'c': 'b' is not above 'c': add it to dependencies",
    ]


def test_a_list_of_dependencies_may_come_from_an_alias() -> None:
    text = nodes(
        function("a") + "- {id: b, type: external, dependencies: &d [a]}\n- {id: c, type: external, dependencies: *d}\n"
    )
    assert errors(text) == []


def test_the_position_of_what_an_alias_stands_for_is_the_alias() -> None:
    text = nodes("- {id: b, type: external, dependencies: &d [a]}\n- {id: c, type: external, dependencies: *d}\n")
    assert errors(text) == [
        "w.yaml:5:49: node 'b': unknown dependency 'a'",
        "w.yaml:6:45: node 'c': unknown dependency 'a'",
    ]


def test_partitions_below_one(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(nodes("- {id: a, type: external}\n"))
    loaded = load_workflow(tmp_path / "w.yaml", partitions=0)
    assert loaded.errors[0].message == "there must be at least 1 partition, not 0"


def test_llm_is_used() -> None:
    assert errors(nodes(llm("a"))) == []
