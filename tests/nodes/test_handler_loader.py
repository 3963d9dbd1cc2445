"""Loading handlers: imports that work, and errors that name file and line."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.core.outcome import Done
from streams.errors import HandlerImportError
from streams.nodes import Node, Resources, build
from tests.nodes.conftest import HandlerNode, attempt, function_plan


@pytest.fixture(autouse=True)
def _imports_are_undone() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(folder: Path, file: str, source: str) -> Path:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return path


async def output(node: Node) -> object:
    outcome = await node.execute(attempt())
    assert isinstance(outcome, Done), outcome
    return outcome.output


BAD = [
    ("def handle(inputs, context:\n    pass", ":1: SyntaxError"),
    ("x = 1\n  y = 2", ":2: IndentationError"),
    ("x = 1\nimport no_such_module_anywhere", ":2: the handler does not import: ModuleNotFoundError"),
    ("x = 1\n\ny = 1 / 0", ":3: the handler does not import: ZeroDivisionError"),
    ("import json\njson.loads('{')", ":2: the handler does not import: JSONDecodeError"),
    ("import sys\nsys.exit(1)", ":2: the handler does not import: SystemExit"),
    ("def run(inputs, context): return {}", ":1: has no function 'handle'; it has run"),
    ("handle = 5", ":1: 'handle' is a int, not a function"),
    ("x = 1\ndef handle(inputs): return {}", ":2: handle() must take (inputs, context)"),
    ("def handle(inputs, context, more): return {}", ":1: handle() must take (inputs, context)"),
    ("x = '\0'", "null bytes"),
]


@pytest.mark.parametrize(("source", "said"), BAD, ids=[row[1] for row in BAD])
def test_what_cannot_be_loaded_is_named(handler: HandlerNode, source: str, said: str) -> None:
    with pytest.raises(HandlerImportError) as raised:
        handler(source)
    assert said in str(raised.value)
    assert "handler.py" in str(raised.value)


def test_bytes_that_are_no_text(tmp_path: Path, resources: Resources) -> None:
    path = tmp_path / "handler.py"
    path.write_bytes(b"x = '\xff'")
    with pytest.raises(HandlerImportError, match=r"handler\.py"):
        build(function_plan(path), "wf", resources)


def test_a_missing_file(tmp_path: Path, resources: Resources) -> None:
    with pytest.raises(HandlerImportError, match=r"gone\.py: cannot read the handler"):
        build(function_plan(tmp_path / "gone.py"), "wf", resources)


def test_an_error_in_a_sibling_is_named_there(handler: HandlerNode, tmp_path: Path) -> None:
    write(tmp_path, "handlers/broken_helper.py", "x = 1\ny = x.nope")
    with pytest.raises(HandlerImportError, match=r"broken_helper\.py:2: .*AttributeError"):
        handler("import broken_helper\ndef handle(i, c): return {}")
    write(tmp_path, "handlers/unparsed_helper.py", "x = 1\ny = (")
    with pytest.raises(HandlerImportError, match=r"unparsed_helper\.py:2: SyntaxError"):
        handler("import unparsed_helper\ndef handle(i, c): return {}")


async def test_siblings_can_be_imported(handler: HandlerNode, tmp_path: Path) -> None:
    write(tmp_path, "handlers/helpers_local.py", "VALUE = 1")
    write(tmp_path, "handlers/parts/__init__.py", "")
    write(tmp_path, "handlers/parts/deep.py", "VALUE = 2")
    write(tmp_path, "handlers/late_local.py", "VALUE = 3")
    node = handler("""
        import helpers_local
        from parts.deep import VALUE
        def handle(inputs, context):
            import late_local
            return {"values": [helpers_local.VALUE, VALUE, late_local.VALUE]}
    """)
    assert await output(node) == {"values": [1, 2, 3]}


async def test_two_workflows_have_their_own_siblings(handler: HandlerNode, tmp_path: Path) -> None:
    source = "import helpers_local\nfrom parts import deep\ndef handle(i, c): return {'v': [helpers_local.V, deep.V]}"
    nodes = []
    for folder in ("one", "two"):
        write(tmp_path, f"{folder}/helpers_local.py", f"V = '{folder}'")
        write(tmp_path, f"{folder}/parts/__init__.py", "")
        write(tmp_path, f"{folder}/parts/deep.py", f"V = 'deep {folder}'")
        nodes.append(handler(source, file=f"{folder}/handler.py", workflow=folder))
    assert [await output(node) for node in nodes] == [{"v": ["one", "deep one"]}, {"v": ["two", "deep two"]}]


async def test_a_late_import_does_not_reach_into_another_workflow(handler: HandlerNode, tmp_path: Path) -> None:
    for folder in ("one", "one/nested", "two"):
        write(tmp_path, f"{folder}/helpers_local.py", f"V = '{folder}'")
    late = handler(
        "def handle(i, c):\n    import helpers_local\n    return {'v': helpers_local.V}", file="one/handler.py"
    )
    assert await output(late) == {"v": "one"}
    source = "import helpers_local\ndef handle(i, c): return {'v': helpers_local.V}"
    for folder in ("one/nested", "two", "one"):
        node = handler(source, file=f"{folder}/eager.py", workflow="other")
        assert await output(node) == {"v": folder}
    assert await output(late) == {"v": "one"}


async def test_handlers_of_one_folder_share_their_siblings(handler: HandlerNode, tmp_path: Path) -> None:
    write(tmp_path, "handlers/shared_local.py", "seen = []")
    source = "import shared_local\ndef handle(i, c):\n    shared_local.seen.append('{}')\n    return {{'seen': shared_local.seen}}"
    first = handler(source.format("a"), file="handlers/a.py")
    second = handler(source.format("b"), file="handlers/b.py")
    await output(first)
    assert await output(second) == {"seen": ["a", "b"]}


async def test_a_handler_may_be_called_like_a_module_of_python(handler: HandlerNode) -> None:
    node = handler("import email.message, json\ndef handle(i, c): return {'ok': 1}", file="handlers/email.py")
    assert await output(node) == {"ok": 1}
    assert await output(handler("import smtplib\ndef handle(i, c): return {'ok': 2}")) == {"ok": 2}


async def test_an_edited_file_is_loaded_anew(handler: HandlerNode) -> None:
    assert await output(handler("def handle(i, c): return {'v': 1}")) == {"v": 1}
    assert await output(handler("def handle(i, c): return {'v': 2}")) == {"v": 2}


async def test_dataclasses_work_in_a_handler(handler: HandlerNode) -> None:
    node = handler("""
        from __future__ import annotations
        import dataclasses
        @dataclasses.dataclass
        class Point:
            x: int
        def handle(inputs, context):
            return dataclasses.asdict(Point(1))
    """)
    assert await output(node) == {"x": 1}


async def test_a_module_of_the_current_folder(
    tmp_path: Path, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "cwd_package/__init__.py", "")
    write(tmp_path, "cwd_package/work.py", "def go(i, c): return {'v': 1}")
    assert await output(build(function_plan(None, "go", "cwd_package.work"), "wf", resources)) == {"v": 1}


async def test_a_module_of_the_workflows_folder(tmp_path: Path) -> None:
    write(tmp_path, "wf_package/work.py", "def go(i, c): return {'v': 1}")
    resources = Resources(module_paths=(tmp_path,))
    assert await output(build(function_plan(None, "go", "wf_package.work"), "wf", resources)) == {"v": 1}
    with pytest.raises(HandlerImportError, match=r"handler module 'wf_package\.nope' does not import"):
        build(function_plan(None, "go", "wf_package.nope"), "wf", resources)
    with pytest.raises(HandlerImportError, match=r"work\.py:1: has no function 'stop'"):
        build(function_plan(None, "stop", "wf_package.work"), "wf", resources)
    write(tmp_path, "wf_package/bad.py", "x = 1\ny = 1 / 0")
    with pytest.raises(HandlerImportError, match=r"bad\.py:2: handler module 'wf_package.bad' does not import"):
        build(function_plan(None, "go", "wf_package.bad"), "wf", resources)
    await resources.aclose()


def test_nothing_is_written_next_to_a_handler(handler: HandlerNode, tmp_path: Path) -> None:
    handler("def handle(i, c): return {}")
    assert [path.name for path in (tmp_path / "handlers").iterdir()] == ["handler.py"]
