"""What a workflow file names: prompts, schemas, handlers. Each is read once and checked by itself; what is wrong points into that file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from topology.diagnostics import Diagnostic
from topology.files import Read, UnreadableFile, check_file, read_text
from topology.handlers import HandlerError, parse_handler
from topology.json_schema import Schema, SchemaError, compile_schema
from topology.parse import NODES, Finding
from topology.place import Place
from topology.plan import FunctionPlan
from topology.spec import BaseNode, FunctionNode, LlmNode, ReviewNode, RouterNode, WorkflowSpec
from topology.templates import Template, TemplateError, compile_template
from topology.yaml_tree import DocPath, parse_yaml


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's text and what became of it."""

    source: str
    template: Template


@dataclass(slots=True)
class Resources:
    """Everything read, by node id; what could not be used is missing, and `errors` says why."""

    input_schema: Schema | None = None
    prompts: dict[str, Prompt] = field(default_factory=dict)
    schemas: dict[str, Schema] = field(default_factory=dict)
    forms: dict[str, Schema] = field(default_factory=dict)
    handlers: dict[str, FunctionPlan] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)


def load_resources(place: Place, read: Read, input_schema: str | None, nodes: Mapping[int, BaseNode]) -> Resources:
    """Read what `nodes` and the workflow name."""
    return _Loader(place, read).load(input_schema, nodes)


def input_schema_of(raw: Any, spec: WorkflowSpec | None) -> str | None:
    """Return the input schema's file, also of a workflow that is wrong elsewhere."""
    if spec is not None:
        return spec.input_schema
    workflow = raw.get("workflow") if isinstance(raw, dict) else None
    named = workflow.get("input_schema") if isinstance(workflow, dict) else None
    return named if isinstance(named, str) and named else None


class _Loader:
    def __init__(self, place: Place, read: Read) -> None:
        self._place = place
        self._read = read
        self._schemas: dict[str, Schema | None] = {}
        self._prompts: dict[str, Prompt | None] = {}
        self._found = Resources()

    def load(self, input_schema: str | None, nodes: Mapping[int, BaseNode]) -> Resources:
        """Read everything, in the order of the file."""
        if input_schema is not None:
            self._found.input_schema = self._schema(input_schema, ("workflow", "input_schema"))
        for index, node in nodes.items():
            self._load_node((*NODES, index), node)
        return self._found

    def _load_node(self, path: DocPath, node: BaseNode) -> None:
        match node:
            case LlmNode():
                self._load_prompt(node.id, node.prompt_template, (*path, "prompt_template"))
                self._load_output_schema(node, (*path, "output_schema"))
            case RouterNode(prompt_template=str(template)):
                self._load_prompt(node.id, template, (*path, "prompt_template"))
            case ReviewNode(form_schema=str(schema)):
                self._load_form(node.id, schema, (*path, "form_schema"))
            case FunctionNode():
                self._load_handler(node, (*path, "handler"))

    def _load_prompt(self, node: str, relative: str, path: DocPath) -> None:
        if relative not in self._prompts:
            self._prompts[relative] = self._prompt(relative, path)
        prompt = self._prompts[relative]
        if prompt is not None:
            self._found.prompts[node] = prompt

    def _prompt(self, relative: str, path: DocPath) -> Prompt | None:
        text = self._text(relative, path)
        if text is None:
            return None
        file = str(self._place.file(relative))
        try:
            return Prompt(text, compile_template(text, relative))
        except TemplateError as error:
            self._found.errors.append(Diagnostic(file, error.line, 1, error.message))
        return None

    def _load_form(self, node: str, relative: str, path: DocPath) -> None:
        schema = self._schema(relative, path)
        if schema is not None:
            self._found.forms[node] = schema

    def _load_output_schema(self, node: LlmNode, path: DocPath) -> None:
        if node.output_schema is None:
            return
        schema = self._schema(node.output_schema, path)
        if schema is None:
            return
        if schema.schema.get("type") != "object":
            self._say(
                path, f'node {node.id!r}: output_schema must have "type": "object" at its root: an output is an object'
            )
        else:
            self._found.schemas[node.id] = schema

    def _schema(self, relative: str, path: DocPath) -> Schema | None:
        if relative not in self._schemas:
            text = self._text(relative, path)
            self._schemas[relative] = None if text is None else self._compile_schema(relative, text)
        return self._schemas[relative]

    def _compile_schema(self, relative: str, text: str) -> Schema | None:
        file = str(self._place.file(relative))
        try:
            return compile_schema(json.loads(text, parse_constant=_no_constant), relative)
        except json.JSONDecodeError as error:
            self._found.errors.append(Diagnostic(file, error.lineno, error.colno, f"not JSON: {error.msg}"))
        except SchemaError as error:
            # JSON is YAML, so the reader that knows positions can be asked; where it disagrees it says (1, 1).
            line, col = parse_yaml(text).marks.key(error.path)
            self._found.errors.append(Diagnostic(file, line, col, f"not a JSON Schema: {error.message}"))
        except (ValueError, RecursionError) as error:
            self._found.errors.append(Diagnostic(file, 1, 1, f"not JSON: {str(error) or type(error).__name__}"[:300]))
        return None

    def _load_handler(self, node: FunctionNode, path: DocPath) -> None:
        try:
            handler = parse_handler(node.handler)
            if handler.file is not None:
                check_file(self._place.file(handler.file), self._read)
        except HandlerError as error:
            self._say(path, f"node {node.id!r}: {error}")
            return
        except UnreadableFile as error:
            self._say(path, f"node {node.id!r}: handler {handler.file!r}: {error.message}")
            return
        absolute = None if handler.file is None else os.path.abspath(self._place.file(handler.file))
        self._found.handlers[node.id] = FunctionPlan(
            absolute, handler.module, handler.name, node.handler, node.executor
        )

    def _text(self, relative: str, path: DocPath) -> str | None:
        if PurePosixPath(relative).is_absolute() or Path(relative).is_absolute():
            self._say(path, f"{relative!r} must be relative to the workflow file")
            return None
        try:
            return read_text(self._place.file(relative), self._read)
        except UnreadableFile as error:
            if error.message.startswith("not UTF-8"):
                self._found.errors.append(
                    Diagnostic(str(self._place.file(relative)), error.line, error.col, error.message)
                )
            else:
                self._say(path, f"{relative!r}: {error.message}")
        return None

    def _say(self, path: DocPath, message: str) -> None:
        self._found.errors.append(self._place.diagnostic(Finding(path, message)))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not allowed")
