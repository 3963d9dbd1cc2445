from __future__ import annotations

from pathlib import Path

import pytest

from tests.topology.workflow_files import errors, llm, load, nodes
from topology.load import load_workflow
from topology.plan import FunctionPlan

SCHEMA = ", output_schema: schemas/s.json"


def schema_errors(text: str | bytes | None) -> list[str]:
    return errors(nodes(llm("a", more=SCHEMA)), schemas__s_json=text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "w.yaml:5:100: 'schemas/s.json': no such file"),
        ("x" * 2_000_000, "w.yaml:5:100: 'schemas/s.json': the file is larger than 1 MB"),
        (b'{"a":\n "\xff"}', "schemas/s.json:2:3: not UTF-8: invalid start byte"),
        ('{"type":\n  oops}', "schemas/s.json:2:3: not JSON: Expecting value"),
        ("", "schemas/s.json:1:1: not JSON: Expecting value"),
        ('{"type": "object", "maximum": NaN}', "schemas/s.json:1:1: not JSON: NaN is not allowed"),
        (
            "[" * 100_000,
            "schemas/s.json:1:1: not JSON: maximum recursion depth exceeded while decoding a JSON array from a unicode string",
        ),
        ("[]", "schemas/s.json:1:1: not a JSON Schema: a schema must be a JSON object"),
        (
            '{\n  "type": "objct"\n}',
            'schemas/s.json:2:3: not a JSON Schema: "objct" is not valid under any of the schemas listed in ',
        ),
        (
            '{"type": "object",\n "properties": {"a": {"$ref": "http://x/y"}}}',
            "schemas/s.json:2:23: not a JSON Schema: $ref 'http://x/y' leads out of this file: copy what it names into $defs",
        ),
        (
            '{"type": "object", "$ref": "other.json"}',
            "schemas/s.json:1:20: not a JSON Schema: $ref 'other.json' leads out of this file",
        ),
        (
            '{"type": "array"}',
            'w.yaml:5:100: node \'a\': output_schema must have "type": "object" at its root: an output is an object',
        ),
        (
            "{}",
            'w.yaml:5:100: node \'a\': output_schema must have "type": "object" at its root: an output is an object',
        ),
    ],
)
def test_schemas(text: str | bytes | None, found: str) -> None:
    reported = schema_errors(text)
    assert len(reported) == 1
    assert reported[0].startswith(found)


def test_a_broken_schema_used_twice_is_one_error() -> None:
    assert len(errors(nodes(llm("a", more=SCHEMA) + llm("b", more=SCHEMA)), schemas__s_json="{")) == 1


def test_input_and_form_schemas_are_checked() -> None:
    text = nodes("- {id: a, type: review, form_schema: schemas/f.json}\n").replace(
        "1.0.0", "1.0.0\n  input_schema: schemas/i.json"
    )
    assert errors(text, schemas__f_json="{", schemas__i_json="1") == [
        "schemas/f.json:1:2: not JSON: Expecting property name enclosed in double quotes",
        "schemas/i.json:1:1: not a JSON Schema: a schema must be a JSON object",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "w.yaml:5:53: 'prompts/p.j2': no such file"),
        ("a\n{{ x", "prompts/p.j2:2:1: unexpected end of template, expected 'end of print statement'."),
        ("\n\n{% include 'x' %}", "prompts/p.j2:3:1: 'include' is not available: a prompt is one file"),
        ("{{ input | nope }}", "prompts/p.j2:1:1: No filter named 'nope'."),
        (b"ok\n\xff", "prompts/p.j2:2:1: not UTF-8: invalid start byte"),
    ],
)
def test_prompts(text: str | bytes | None, found: str) -> None:
    assert errors(nodes(llm("a")), prompts__p_j2=text) == [found]


@pytest.mark.parametrize(
    ("handler", "found"),
    [
        ("handlers/no.py", "handler 'handlers/no.py': no such file"),
        ("handlers/no.py:f", "handler 'handlers/no.py': no such file"),
        ("handlers/h.py:1x", "handler 'handlers/h.py:1x': '1x' is no function's name"),
        ("handlers/h.py:", "handler 'handlers/h.py:': '' is no function's name"),
        ("package.module", "handler 'package.module' must be file.py, file.py:name or package.module:name"),
        ("a-b:f", "handler 'a-b:f' must be file.py, file.py:name or package.module:name"),
        ("/etc/x.py", "handler '/etc/x.py' must be relative to the workflow file, with '/' between folders"),
        (
            "handlers\\h.py",
            "handler 'handlers\\\\h.py' must be relative to the workflow file, with '/' between folders",
        ),
        ("schemas.py", "handler 'schemas.py' would clash: 'schemas' is a package of penstock's own, rename the file"),
        (
            "handlers/streams.py:f",
            "handler 'handlers/streams.py' would clash: 'streams' is a package of penstock's own, rename the file",
        ),
        ("topology.x:f", "handler 'topology.x:f' would clash: 'topology' is a package of penstock's own"),
        ("penstock:f", "handler 'penstock:f' would clash: 'penstock' is a package of penstock's own"),
    ],
)
def test_handlers(handler: str, found: str) -> None:
    assert errors(nodes(f"- {{id: a, type: function, handler: '{handler}'}}\n")) == [f"w.yaml:5:40: node 'a': {found}"]


@pytest.mark.parametrize(
    ("handler", "plan"),
    [
        ("handlers/h.py", FunctionPlan("handlers/h.py", None, "handle", "handlers/h.py")),
        ("handlers/h.py:other", FunctionPlan("handlers/h.py", None, "other", "handlers/h.py:other")),
        ("shop.orders:write", FunctionPlan(None, "shop.orders", "write", "shop.orders:write")),
    ],
)
def test_where_a_handler_is(handler: str, plan: FunctionPlan) -> None:
    found = load(nodes(f"- {{id: a, type: function, handler: '{handler}'}}\n")).require_plan().node("a").function
    assert found is not None
    assert (found.module, found.name, found.reference) == (plan.module, plan.name, plan.reference)
    assert found.path == (None if plan.path is None else str(Path(plan.path).absolute()))


def test_on_a_disk_a_directory_is_no_file_and_files_are_found_beside_the_workflow(tmp_path: Path) -> None:
    (tmp_path / "prompts" / "p.j2").mkdir(parents=True)
    path = tmp_path / "w.yaml"
    path.write_text(nodes(llm("a")))
    assert [str(error) for error in load_workflow(path).errors] == [f"{path}:5:53: 'prompts/p.j2': this is a directory"]


def test_an_absolute_path_is_refused() -> None:
    text = nodes("- {id: a, type: llm, model: m, prompt_template: /etc/passwd, output_schema: /etc/passwd}\n")
    assert errors(text) == [
        "w.yaml:5:53: '/etc/passwd' must be relative to the workflow file",
        "w.yaml:5:81: '/etc/passwd' must be relative to the workflow file",
    ]
