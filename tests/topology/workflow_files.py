"""Workflows as text, loaded without a disk."""

from __future__ import annotations

import textwrap
from pathlib import Path

from topology.load import Loaded, load_workflow

CLOSED = '{"type": "object", "properties": {"label": {"type": "string"}, "id": {}}, "additionalProperties": false}'
SURE = '{"type": "object", "properties": {"confidence": {"type": "number"}}, "required": ["confidence"]}'
FILES = {
    "prompts/p.j2": "{{ input.text }}\n",
    "schemas/closed.json": CLOSED,
    "schemas/open.json": '{"type": "object"}',
    "schemas/sure.json": SURE,
    "handlers/h.py": "def handle(inputs, context): return {}\n",
}


def load(workflow: str | bytes, **changed: str | bytes | None) -> Loaded:
    """Load `workflow` beside `FILES`; a keyword replaces a file (`prompts__p_j2`), None takes it away."""
    named = {
        name.replace("__", "/").replace("_j2", ".j2").replace("_json", ".json"): text for name, text in changed.items()
    }
    files = {**FILES, **named, "w.yaml": textwrap.dedent(workflow) if isinstance(workflow, str) else workflow}

    def read(path: Path) -> bytes:
        content = files.get(str(path))
        if content is None:
            raise FileNotFoundError(path)
        return content.encode() if isinstance(content, str) else content

    return load_workflow(Path("w.yaml"), read=read)


def errors(workflow: str | bytes, **changed: str | bytes | None) -> list[str]:
    """Return the errors as they are printed."""
    return [str(error) for error in load(workflow, **changed).errors]


HEAD = """\
workflow:
  id: w
  version: 1.0.0
  nodes:
"""


def nodes(text: str) -> str:
    """Return a workflow of these nodes; the first of their lines is line 5."""
    return HEAD + textwrap.indent(textwrap.dedent(text), "    ")


def function(node: str, *dependencies: str, more: str = "") -> str:
    """Return a function node of one line."""
    return (
        f"- {{id: {node}, type: function, handler: handlers/h.py, dependencies: [{', '.join(dependencies)}]{more}}}\n"
    )


def llm(node: str, *dependencies: str, more: str = "") -> str:
    """Return an llm node of one line."""
    listed = ", ".join(dependencies)
    return f"- {{id: {node}, type: llm, model: m, prompt_template: prompts/p.j2, dependencies: [{listed}]{more}}}\n"
