"""The one place that knows the CEL library: conditions and `${...}` are compiled and checked at load, evaluated on outputs.

`when: classify.label == "invoice"` is a condition, `idempotency_key: "invoice-${extract.id}"` an interpolation.

Numbers. A node's output is JSON: an integer becomes a CEL int (or uint from 2**63 to 2**64), any other number a CEL double.
Comparisons and `in` mix them freely, so `input.amount > 100` and `classify.count == 3` hold for 3 and 3.0 alike. Arithmetic does
not mix, as everywhere in CEL: write `double(input.amount) * 1.5`. An integer beyond 64 bits is an error. A node without an output
(failed, skipped, or not an ancestor) is null, so `extract == null` is true and `extract.id` an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from schemas.claims import Holding, a_claim_in
from topology.cel_ast import Named, names_in
from topology.diagnostics import suggestion

MAX_SOURCE = 10_000
"""Longer than any condition a person writes, and far below what the library's parser is safe with."""

MAX_INTEGRAL = 2.0**53
"""Above it a float stands for more than one integer, so it keeps its own notation."""

_TYPE_NAMES = frozenset(
    {"bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "optional_type", "string", "type", "uint"}
)
"""CEL's own identifiers: a variable of that name cannot be declared."""

_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_STATUS = re.compile(r"^[A-Z_]+: ")
_UNDECLARED = re.compile(r"undeclared reference to '([\w.]+)'")


class ExpressionError(ValueError):
    """An expression does not compile, or does not evaluate; `line` and `col` (1-based) are within its source."""

    def __init__(self, message: str, line: int = 1, col: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.col = col


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression; `uses` is each place that names a variable, `references` the names."""

    source: str
    uses: tuple[Named, ...]
    references: frozenset[str]
    result_type: str
    _program: Any
    _roots: tuple[tuple[str, tuple[str, ...] | None], ...]

    def evaluate(self, mapping: Mapping[str, Any]) -> Any:
        """Return the value for `mapping` (names to JSON values; a missing name is null), or raise `ExpressionError`."""
        try:
            data = {name: _pick(mapping.get(name), fields) for name, fields in self._roots}
            _refuse_claims(self.source, data)
            value = self._program.eval(data={name: _plain(value) for name, value in data.items()})
            result = value.plain_value()
            failed = value.type() == cel.Type.ERROR
        except ExpressionError:
            raise
        except Exception as error:  # the library raises bare RuntimeErrors: an iteration budget, a lone surrogate
            raise ExpressionError(f"{self.source!r}: {_tidy(str(error))}") from None
        if failed:
            raise ExpressionError(f"{self.source!r}: {self._explain(str(result), data)}")
        return result

    def _explain(self, message: str, data: Mapping[str, Any]) -> str:
        if "SELECT to non-message" in message:
            nulls = sorted({f"{use.name} is null" for use in self.uses if use.field and data[use.name] is None})
            return ", ".join(nulls) or "reads a field of something that is no object"
        hint = ""
        if "No matching overloads" in message and "int64" in message and "double" in message:
            hint = "; CEL arithmetic does not mix integers and fractions: write double(...) around the integer"
        return _tidy(message) + hint


@dataclass(frozen=True, slots=True)
class Condition(Expression):
    """An expression that must be true or false."""

    def evaluate(self, mapping: Mapping[str, Any]) -> bool:
        """Return the truth for `mapping`, or raise `ExpressionError`: nothing but a boolean is true or false."""
        # Not super(): slots=True makes a new class, which a zero-argument super() does not know.
        value = Expression.evaluate(self, mapping)
        if isinstance(value, bool):
            return value
        raise ExpressionError(f"{self.source!r} must be true or false, it is {_kind_of(value)}")


def compile_expression(source: str, names: Iterable[str]) -> Expression:
    """Return `source` checked against `names`, or raise `ExpressionError` at the first thing wrong with it."""
    return Expression(*_compile(source, names))


def compile_condition(source: str, names: Iterable[str]) -> Condition:
    """Return `source` as a condition; what can be seen not to be boolean is an error already now."""
    condition = Condition(*_compile(source, names))
    if condition.result_type not in ("BOOL", "DYN"):
        raise ExpressionError(f"must be true or false, this is of type {condition.result_type.lower()}")
    return condition


def _compile(source: str, names: Iterable[str]) -> tuple[Any, ...]:
    if len(source) > MAX_SOURCE:
        raise ExpressionError(f"the expression has {len(source)} characters, at most {MAX_SOURCE} are allowed")
    known = frozenset(names)
    try:
        program = _environment(known).compile(source)
    except RuntimeError as error:
        raise _compile_error(source, str(error), known) from None
    uses = tuple(use for use in names_in(program.serialize()) if use.name in known)
    references = frozenset(use.name for use in uses)
    roots = tuple((name, _fields_of(name, uses)) for name in sorted(references))
    return source, uses, references, program.return_type().name(), program, roots


@lru_cache(maxsize=256)
def _environment(names: frozenset[str]) -> Any:
    return cel.NewEnv(variables=dict.fromkeys(sorted(names - _TYPE_NAMES), cel.Type.DYN))


def _fields_of(name: str, uses: tuple[Named, ...]) -> tuple[str, ...] | None:
    """Return the fields read of `name`, or None when it is used as a whole."""
    fields = [use.field for use in uses if use.name == name]
    return None if None in fields else tuple(sorted({field for field in fields if field is not None}))


def _pick(value: Any, fields: tuple[str, ...] | None) -> Any:
    """Return only what the expression reads: the library converts every value it is given, and outputs can be large."""
    if fields is not None and type(value) in (dict, Holding):
        value = type(value)({field: value[field] for field in fields if field in value})
    _refuse_nul(value)
    return value


def _plain(value: Any) -> Any:
    """Return a value as the library takes it: it knows no other dicts than Python's."""
    return dict(value) if type(value) is Holding else value


def _refuse_nul(value: Any) -> None:
    """Raise on a NUL character: the library cuts a string there, so two idempotency keys would become one."""
    if isinstance(value, str):
        if "\0" in value:
            raise ExpressionError("a string with a NUL character cannot be used in an expression")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _refuse_nul(key)
            _refuse_nul(inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_nul(inner)


def _refuse_claims(source: str, data: Mapping[str, Any]) -> None:
    """Raise on a value that is in a claim store: who decides by an expression waits for nothing."""
    for name, value in data.items():
        if claim := a_claim_in(value):
            raise ExpressionError(
                f"{source!r}: {name} has {claim.size} bytes and is in the claim store, where no expression reads it: have a node "
                "give on what is needed as an output of its own, or set claim_check.above_bytes higher"
            )


def _compile_error(source: str, text: str, known: frozenset[str]) -> ExpressionError:
    found = _ERROR.search(text)
    if not found or int(found[1]) < 1:
        return ExpressionError(_tidy(text.splitlines()[0]))
    line, col, message = int(found[1]), int(found[2]), found[3].removesuffix(" [INVALID_ARGUMENT]")
    for name in sorted(known & _TYPE_NAMES):
        if re.search(rf"\b{name}\b", source):
            message = f"{message} (CEL has a type called {name!r}: a node of that name cannot be used here)"
    undeclared = _UNDECLARED.search(message)
    if not undeclared:
        return ExpressionError(_without_grammar(message), line, col)
    root = undeclared[1].split(".")[0]
    lines = source.split("\n")
    start = lines[line - 1].rfind(root, 0, col - 1 + len(root)) if line <= len(lines) else -1
    return ExpressionError(f"unknown name {root!r}{suggestion(root, known)}", line, start + 1 if start >= 0 else col)


def _without_grammar(message: str) -> str:
    """Return a syntax error without the list of all the tokens that might have stood there."""
    return re.sub(r" expecting \{.*\}", "", message).replace("mismatched input '<EOF>'", "unexpected end")


def _tidy(message: str) -> str:
    return _STATUS.sub("", re.sub(r" \[[A-Z_]+\]$", "", message)).replace(" : ", ": ")[:500]


def _kind_of(value: Any) -> str:
    names = {type(None): "null", str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


@dataclass(frozen=True, slots=True)
class Interpolation:
    """Text and expressions in turn."""

    source: str
    parts: tuple[str | Expression, ...]
    uses: tuple[Named, ...]

    @property
    def references(self) -> frozenset[str]:
        """The names used."""
        return frozenset(use.name for use in self.uses)

    def evaluate(self, mapping: Mapping[str, Any]) -> str:
        """Return the text for `mapping`, or raise `ExpressionError`: null, lists and objects have no place in a key."""
        text = "".join(part if isinstance(part, str) else _render(part, mapping) for part in self.parts)
        if not text:
            raise ExpressionError(f"{self.source!r} is empty")
        return text


def compile_interpolation(source: str, names: Iterable[str]) -> Interpolation:
    """Return `source` cut into text and checked expressions; `$${` is a literal `${`."""
    known = frozenset(names)
    parts: list[str | Expression] = []
    uses: list[Named] = []
    text, at = "", 0
    while at < len(source):
        if source.startswith("$${", at):
            text, at = text + "${", at + 3
        elif source.startswith("${", at):
            end = _closing_brace(source, at + 2)
            expression = _compile_at(source, at + 2, end, known)
            parts += [text, expression] if text else [expression]
            uses += [replace(use, offset=use.offset + at + 2) for use in expression.uses]
            text, at = "", end + 1
        else:
            text, at = text + source[at], at + 1
    return Interpolation(source, tuple(parts + ([text] if text else [])), tuple(uses))


def _compile_at(source: str, start: int, end: int, names: frozenset[str]) -> Expression:
    try:
        return compile_expression(source[start:end], names)
    except ExpressionError as error:
        line, col = line_and_col(source, start)
        col = error.col + (col - 1 if error.line == 1 else 0)
        raise ExpressionError(error.message, line + error.line - 1, col) from None


def line_and_col(source: str, offset: int) -> tuple[int, int]:
    """Return where `offset` is in `source`, both 1-based."""
    before = source[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _closing_brace(source: str, start: int) -> int:
    """Return where the `}` is that closes the `${` before `start`, past braces and strings of the expression."""
    depth, at = 0, start
    while at < len(source):
        char = source[at]
        if char in "\"'":
            at = _end_of_string(source, at)
            continue
        if char == "}" and depth == 0:
            return at
        depth += {"{": 1, "}": -1}.get(char, 0)
        at += 1
    line, col = line_and_col(source, start - 2)
    raise ExpressionError("'${' without its '}'", line, col)


def _end_of_string(source: str, at: int) -> int:
    quote = source[at] * 3 if source.startswith(source[at] * 3, at) else source[at]
    at += len(quote)
    while at < len(source) and not source.startswith(quote, at):
        at += 2 if source[at] == "\\" else 1
    return at + len(quote)


def _render(part: Expression, mapping: Mapping[str, Any]) -> str:
    value = part.evaluate(mapping)
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() and abs(value) <= MAX_INTEGRAL else repr(value)
    kind = "null" if value is None else f"a {type(value).__name__}"
    raise ExpressionError(f"${{{part.source}}} must be a string, a number or a boolean, it is {kind}")
