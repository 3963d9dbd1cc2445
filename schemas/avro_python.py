"""Avro bodies written and read by functions made from a schema and its dataclasses, with no dicts in between.

fastavro works on dicts: making them costs more than writing them. The bytes are the same (tests compare them with fastavro's).
What schemas of ours use is known here, and nothing else: null, boolean, long, double, string, bytes, records, arrays, maps, and
unions of null and one other type.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

Encode = Callable[[Any, Callable[[bytes], None]], None]
"""Takes a record and what its pieces are added to."""
Decode = Callable[[bytes, int], tuple[Any, int]]
"""Takes bytes and a position in them; returns a record and the position behind it."""

_DOUBLE = struct.Struct("<d")
REMEMBERED = 16_384


@lru_cache(REMEMBERED)
def long_bytes(value: int) -> bytes:
    """Return an Avro long: zigzag, seven bits a byte, the lowest first. Times and lengths come again and again."""
    if not -(1 << 63) <= value < 1 << 63:
        raise OverflowError(f"{value} is no long")
    rest, out = (value << 1) ^ (value >> 63), bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def long_at(data: bytes, at: int) -> tuple[int, int]:
    """Return the Avro long at a position, and the position behind it."""
    shift = found = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (found >> 1) ^ -(found & 1), at
        shift += 7
        if shift > 63:
            raise ValueError("a long of more than ten bytes")


def text_at(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the bytes with their length before them at a position, and the position behind them."""
    size = data[at]
    at += 1
    if size & 0x81:  # of two bytes and more, or negative
        size, at = long_at(data, at - 1)
        if size < 0:
            raise ValueError("a negative length")
        end = at + size
    else:
        end = at + (size >> 1)
    if end > len(data):
        raise EOFError("ends in the middle of a field")
    return data[at:end], end


class Compiler:
    """Makes the functions of one schema; `classes` are the dataclasses by the name of their record."""

    def __init__(self, classes: Mapping[str, type]) -> None:
        self._classes = classes
        self._scope: dict[str, Any] = {
            "long_bytes": long_bytes,
            "long_at": long_at,
            "text_at": text_at,
            "pack": _DOUBLE.pack,
            "unpack": _DOUBLE.unpack_from,
        }
        self._schemas: dict[str, Any] = {}

    def functions(self, schema: Any) -> tuple[Encode, Decode]:
        """Return what writes and what reads the body of a record."""
        name = self._record(schema)
        return self._scope[f"encode_{name}"], self._scope[f"decode_{name}"]

    def _record(self, schema: Any) -> str:
        name: str = schema["name"].rpartition(".")[2]
        if name in self._schemas:
            return name
        self._schemas[name] = schema
        lines, reads, given = [f"def encode_{name}(r, add):"], [f"def decode_{name}(data, at):"], []
        for number, field in enumerate(schema["fields"]):
            lines += self._encode(field["type"], f"r.{field['name']}", 1)
            reads += self._decode(field["type"], f"f{number}", 1)
            given.append(f"{field['name']}=f{number}")
        cls = self._classes[name]
        in_order = [f.name for f in fields(cls)] == [field["name"] for field in schema["fields"]]
        arguments = [one.rpartition("=")[2] for one in given] if in_order else given
        reads.append(f"    return {name}({', '.join(arguments)}), at")
        self._scope[name] = cls
        exec(compile("\n".join([*lines, *reads]), f"<avro of {name}>", "exec"), self._scope)  # noqa: S102 - of checked-in schemas
        return name

    # ---- writing: statements that add the pieces of `value` -----------------------------------------------------------

    def _encode(self, kind: Any, value: str, depth: int) -> list[str]:
        pad = "    " * depth
        match kind:
            case "boolean":
                return [f'{pad}add(b"\\1" if {value} else b"\\0")']
            case "long":
                return [f"{pad}add(long_bytes({value}))"]
            case "double":
                return [f"{pad}add(pack({value}))"]
            case "string":
                return [f"{pad}b = {value}.encode()", f"{pad}add(long_bytes(len(b)))", f"{pad}add(b)"]
            case "bytes":
                return [f"{pad}b = {value}", f"{pad}add(long_bytes(len(b)))", f"{pad}add(b)"]
            case ["null", inner]:
                own = f"v{depth}"
                some = [f'{pad}    add(b"\\2")', *self._encode(inner, own, depth + 1)]
                return [
                    f"{pad}{own} = {value}",
                    f"{pad}if {own} is None:",
                    f'{pad}    add(b"\\0")',
                    f"{pad}else:",
                    *some,
                ]
            case {"type": "map"} | {"type": "array"}:
                return self._encode_many(kind, value, depth)
            case _:
                return [f"{pad}encode_{self._name_of(kind)}({value}, add)"]

    def _encode_many(self, kind: Any, value: str, depth: int) -> list[str]:
        pad, many, one, key = "    " * depth, f"m{depth}", f"i{depth}", f"k{depth}"
        if kind["type"] == "map":
            loop = [f"{pad}    for {key}, {one} in {many}.items():", *self._encode("string", key, depth + 2)]
            inner = self._encode(kind["values"], one, depth + 2)
        else:
            loop, inner = [f"{pad}    for {one} in {many}:"], self._encode(kind["items"], one, depth + 2)
        some = [f"{pad}if {many}:", f"{pad}    add(long_bytes(len({many})))", *loop, *inner]
        return [f"{pad}{many} = {value}", *some, f'{pad}add(b"\\0")']

    # ---- reading: statements that put what stands at `at` into `name` -------------------------------------------------

    def _decode(self, kind: Any, name: str, depth: int) -> list[str]:
        pad = "    " * depth
        match kind:
            case "boolean":
                return [f"{pad}{name} = data[at] == 1", f"{pad}at += 1"]
            case "long":
                long = [f"{pad}    {name}, at = long_at(data, at - 1)"]
                short = [f"{pad}    {name} = {name} >> 1 ^ -({name} & 1)"]
                return [
                    f"{pad}{name} = data[at]",
                    f"{pad}at += 1",
                    f"{pad}if {name} > 127:",
                    *long,
                    f"{pad}else:",
                    *short,
                ]
            case "double":
                return [f"{pad}{name}, = unpack(data, at)", f"{pad}at += 8"]
            case "string":
                return [f"{pad}{name}, at = text_at(data, at)", f"{pad}{name} = {name}.decode()"]
            case "bytes":
                return [f"{pad}{name}, at = text_at(data, at)"]
            case ["null", inner]:
                bad = [f"{pad}elif data[at] != 2:", f'{pad}    raise ValueError("no such type in the union")']
                some = [f"{pad}else:", f"{pad}    at += 1", *self._decode(inner, name, depth + 1)]
                return [f"{pad}if data[at] == 0:", f"{pad}    {name} = None", f"{pad}    at += 1", *bad, *some]
            case {"type": "map"} | {"type": "array"}:
                return self._decode_many(kind, name, depth)
            case _:
                return [f"{pad}{name}, at = decode_{self._name_of(kind)}(data, at)"]

    def _decode_many(self, kind: Any, name: str, depth: int) -> list[str]:
        """Read blocks until an empty one; a negative count has the block's size behind it."""
        pad, left, one, key = "    " * depth, f"n{depth}", f"i{depth}", f"k{depth}"
        is_map = kind["type"] == "map"
        block = [
            f"{pad}{left}, at = long_at(data, at)",
            f"{pad}while {left}:",
            f"{pad}    if {left} < 0:",
            f"{pad}        {left} = -{left}",
            f"{pad}        at = long_at(data, at)[1]",
            f"{pad}    while {left}:",
            f"{pad}        {left} -= 1",
        ]
        item = self._decode("string", key, depth + 2) if is_map else []
        item += self._decode(kind["values"] if is_map else kind["items"], one, depth + 2)
        item.append(f"{pad}        {name}[{key}] = {one}" if is_map else f"{pad}        {name}.append({one})")
        done = [] if is_map else [f"{pad}{name} = tuple({name})"]
        begin = f"{pad}{name} = {{}}" if is_map else f"{pad}{name} = []"
        return [begin, *block, *item, f"{pad}    {left}, at = long_at(data, at)", *done]

    def _name_of(self, kind: Any) -> str:
        """Return the name of a record, whose functions are made if this is where it is defined."""
        if isinstance(kind, dict) and kind.get("type") == "record":
            return self._record(kind)
        name = str(kind).rpartition(".")[2]
        if name not in self._schemas:
            raise TypeError(f"no code can be made for the Avro type {kind!r}")
        return name
