"""Prompt templates: compiled and searched for references at load, rendered from node outputs; memory and work are bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import jinja2
from jinja2 import meta, nodes

from topology.sandbox import ENVIRONMENT, MAX_CHARS


class TemplateError(ValueError):
    """A template does not compile or does not render; `line` is within it, `path` its file."""

    def __init__(self, message: str, line: int, path: str) -> None:
        super().__init__(f"{path}:{line}: {message}")
        self.message = message
        self.line = line
        self.path = path


@dataclass(frozen=True, slots=True)
class TemplateField:
    """A field read of a top-level name, as in `classify.label`."""

    name: str
    field: str
    line: int


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled prompt; `names` maps each top-level name it needs to the line that first names it."""

    path: str
    names: Mapping[str, int]
    fields: tuple[TemplateField, ...]
    _compiled: jinja2.Template

    def render(self, mapping: Mapping[str, Any]) -> str:
        """Return the prompt for `mapping`, or raise `TemplateError` with the line that failed."""
        pieces: list[str] = []
        room = MAX_CHARS
        try:
            for piece in self._compiled.generate(mapping):
                room -= len(piece)
                if room < 0:
                    raise TemplateError(f"renders to more than {MAX_CHARS} characters", 1, self.path)
                pieces.append(piece)
        except TemplateError:
            raise
        except Exception as error:  # jinja lets whatever an operator or a filter raised through
            raise TemplateError(_message(error), _line_of(error.__traceback__, self.path), self.path) from None
        return "".join(pieces)


def compile_template(source: str, path: str) -> Template:
    """Return the prompt compiled, or raise `TemplateError`."""
    try:
        # Twice: the code generator changes the tree it is given.
        tree = ENVIRONMENT.parse(source, path, path)
        code = ENVIRONMENT.compile(source, path, path)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(error.message or "syntax error", error.lineno, path) from None
    except (RecursionError, SyntaxError, MemoryError, ValueError, OverflowError) as error:
        raise TemplateError(f"too deeply nested or too large ({type(error).__name__})", 1, path) from None
    compiled = jinja2.Template.from_code(ENVIRONMENT, code, ENVIRONMENT.globals)
    return Template(path, _names(tree), _fields(tree), compiled)


def references(template: Template) -> dict[str, int]:
    """Return each top-level name the template needs, with the line that first names it."""
    return dict(template.names)


def _names(tree: nodes.Template) -> dict[str, int]:
    bound = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    # To jinja a node called like one of its globals is that global: it is the node unless it is called.
    needed = meta.find_undeclared_variables(tree) | (set(ENVIRONMENT.globals) - bound)
    globals_called = {id(call.node) for call in tree.find_all(nodes.Call) if _is_global(call.node)}
    lines: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.name in needed and name.ctx == "load" and id(name) not in globals_called:
            lines[name.name] = min(name.lineno, lines.get(name.name, name.lineno))
    return dict(sorted(lines.items(), key=lambda item: (item[1], item[0])))


def _is_global(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name in ENVIRONMENT.globals


def _fields(tree: nodes.Template) -> tuple[TemplateField, ...]:
    """Return the fields read of names that are nowhere bound in the template: of the others nothing can be said."""
    bound = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    called = {id(call.node) for call in tree.find_all(nodes.Call)}
    found = set()
    reads: list[nodes.Getattr | nodes.Getitem] = [*tree.find_all(nodes.Getattr), *tree.find_all(nodes.Getitem)]
    for read in reads:
        if isinstance(read.node, nodes.Name) and read.node.name not in bound and id(read) not in called:
            field = read.attr if isinstance(read, nodes.Getattr) else _constant(read.arg)
            if isinstance(field, str):
                found.add(TemplateField(read.node.name, field, read.lineno))
    return tuple(sorted(found, key=lambda field: (field.line, field.name, field.field)))


def _constant(node: nodes.Node) -> Any:
    return node.value if isinstance(node, nodes.Const) else None


def _message(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "recurses too deeply"
    return (str(error) or type(error).__name__)[:500]


def _line_of(traceback: TracebackType | None, path: str) -> int:
    line = 1
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == path:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
