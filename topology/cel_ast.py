"""Read which variables a compiled CEL expression names, from the syntax tree the library can serialize (cel/expr/syntax.proto)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Fields = list[tuple[int, int | bytes]]
"""One protobuf message: (field number, value) in the order of the bytes."""

# Field numbers of cel.expr.{ParsedExpr,Expr,SourceInfo}: part of a public wire format, so they never change.
_ANY_VALUE, _PARSED_EXPR, _CHECKED_EXPR, _SOURCE_INFO = 2, 2, 4, {2: 3, 4: 5}
_ID, _CONST, _IDENT, _SELECT, _CALL, _COMPREHENSION = 2, 3, 4, 5, 6, 9
_CONST_STRING = 6


@dataclass(frozen=True, slots=True)
class Named:
    """A variable named at `offset` of the source; `field` is what is read of it, None when it is used as a whole."""

    name: str
    field: str | None
    offset: int


def names_in(serialized: bytes) -> tuple[Named, ...]:
    """Return every use of a free variable, in the order of the source; variables bound by macros are left out."""
    body = _messages(_fields(serialized), _ANY_VALUE)[0]
    checked = b".CheckedExpr" in serialized[:64]
    expression = _CHECKED_EXPR if checked else _PARSED_EXPR
    parts = _fields(body)
    positions = _positions(_messages(parts, _SOURCE_INFO[expression]))
    found = _walk(_fields(_messages(parts, expression)[0]), frozenset(), positions)
    return tuple(sorted(found, key=lambda named: named.offset))


def _walk(expr: Fields, bound: frozenset[str], positions: dict[int, int]) -> Iterator[Named]:
    kind, body = _kind(expr)
    if kind == _IDENT:
        yield from _named(expr, body, None, bound, positions)
        return
    if kind == _COMPREHENSION:
        yield from _walk_comprehension(body, bound, positions)
        return
    operand, name = _read_of(kind, body)
    if operand is not None and name is not None and _kind(operand)[0] == _IDENT:
        yield from _named(operand, _kind(operand)[1], name, bound, positions)
        return
    for child in _children(kind, body):
        yield from _walk(child, bound, positions)


def _named(
    expr: Fields, ident: Fields, field: str | None, bound: frozenset[str], positions: dict[int, int]
) -> Iterator[Named]:
    name = _text(ident, 1).lstrip(".")
    if name not in bound and not name.startswith("@"):
        yield Named(name, field, positions.get(_number(expr, _ID), 0))


def _read_of(kind: int, body: Fields) -> tuple[Fields | None, str | None]:
    """Return (operand, field) of `operand.field` and of `operand["field"]`."""
    if kind == _SELECT:
        return _fields(_messages(body, 1)[0]), _text(body, 2)
    if kind == _CALL and _text(body, 2) == "_[_]":
        operand, key = (_fields(arg) for arg in _messages(body, 3))
        key_kind, constant = _kind(key)
        if key_kind == _CONST and any(number == _CONST_STRING for number, _ in constant):
            return operand, _text(constant, _CONST_STRING)
    return None, None


def _walk_comprehension(body: Fields, bound: frozenset[str], positions: dict[int, int]) -> Iterator[Named]:
    iter_var, accu_var, iter_var2 = _text(body, 1), _text(body, 3), _text(body, 8)
    inside = bound | {iter_var, accu_var, iter_var2}
    scopes = {2: bound, 4: bound, 5: inside, 6: inside, 7: bound | {accu_var}}
    for number, value in body:
        if number in scopes and isinstance(value, bytes):
            yield from _walk(_fields(value), scopes[number], positions)


def _children(kind: int, body: Fields) -> Iterator[Fields]:
    """Yield the expressions inside a select, call, list or struct; `1: operand, target or element, 3: argument`."""
    if kind == 8:  # a map or message literal: entries with a key expression and a value expression
        for entry in _messages(body, 2):
            yield from (_fields(value) for number in (3, 4) for value in _messages(_fields(entry), number))
    elif kind in (_SELECT, _CALL, 7):
        yield from (_fields(value) for number in (1, 3) for value in _messages(body, number))


def _kind(expr: Fields) -> tuple[int, Fields]:
    for number, value in expr:
        if number > _ID and isinstance(value, bytes):
            return number, _fields(value)
    return 0, []


def _positions(source_info: list[bytes]) -> dict[int, int]:
    entries = [_fields(entry) for info in source_info for entry in _messages(_fields(info), 4)]
    return {_number(entry, 1): _number(entry, 2) for entry in entries}


def _messages(fields: Fields, wanted: int) -> list[bytes]:
    return [value for number, value in fields if number == wanted and isinstance(value, bytes)]


def _text(fields: Fields, wanted: int) -> str:
    found = _messages(fields, wanted)
    return found[0].decode() if found else ""


def _number(fields: Fields, wanted: int) -> int:
    return next((value for number, value in fields if number == wanted and isinstance(value, int)), 0)


def _fields(data: bytes) -> Fields:
    fields: Fields = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value: int | bytes
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
            case 2:
                size, at = _varint(data, at)
                value, at = data[at : at + size], at + size
            case wire:
                size = {1: 8, 5: 4}[wire]
                value, at = int.from_bytes(data[at : at + size], "little"), at + size
        fields.append((tag >> 3, value))
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
