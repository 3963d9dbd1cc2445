"""Whether what was written by one Avro schema can be read by another (Avro specification, "Schema Resolution"), and if not, which field breaks.

A registry says yes or no; people need to know where.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from schemas.unions import NAMED, full_name

PROMOTIONS = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}


def breaks(reader: Any, writer: Any) -> list[str]:
    """Return why `reader` cannot read what `writer` wrote, each as `field: why`; an empty list is compatible."""
    return list(_Resolution(_named(reader), _named(writer)).of(reader, writer, ""))


class _Resolution:
    def __init__(self, readers: Mapping[str, Any], writers: Mapping[str, Any]) -> None:
        self._readers = readers
        self._writers = writers
        self._seen: set[tuple[str, str]] = set()

    def of(self, reader: Any, writer: Any, path: str) -> Iterator[str]:
        """Yield what breaks."""
        reader, writer = _plain(reader, self._readers), _plain(writer, self._writers)
        if isinstance(writer, list):
            for branch in writer:
                yield from self.of(reader, branch, path)
        elif isinstance(reader, list):
            yield from self._union(reader, writer, path)
        elif isinstance(reader, dict) and isinstance(writer, dict) and reader["type"] == writer["type"]:
            yield from self._complex(reader, writer, path)
        elif not _primitive(reader, writer):
            yield f"{path or '(root)'}: {_said(writer)} was written, {_said(reader)} is to be read"

    def _union(self, reader: list[Any], writer: Any, path: str) -> Iterator[str]:
        """Find the branch that reads `writer`; where none does, say of the one that is meant why not."""
        first: list[str] | None = None
        for branch in sorted(reader, key=lambda each: not self._alike(each, writer)):
            found = list(_Resolution(self._readers, self._writers).of(branch, writer, path))
            if not found:
                return
            if first is None and self._alike(branch, writer):
                first = found
        yield from first or [f"{path or '(root)'}: {_said(writer)} was written, and cannot be read any more"]

    def _alike(self, reader: Any, writer: Any) -> bool:
        reader, writer = _plain(reader, self._readers), _plain(writer, self._writers)
        if isinstance(reader, str) or isinstance(writer, str) or reader["type"] != writer["type"]:
            return bool(reader == writer)
        return reader["type"] not in NAMED or full_name(reader) == full_name(writer)

    def _complex(self, reader: Mapping[str, Any], writer: Mapping[str, Any], path: str) -> Iterator[str]:
        match reader["type"]:
            case "array":
                yield from self.of(reader["items"], writer["items"], f"{path}[]")
            case "map":
                yield from self.of(reader["values"], writer["values"], f"{path}{{}}")
            case "record":
                yield from self._record(reader, writer, path)
            case "enum" if "default" not in reader:
                for gone in sorted(set(writer["symbols"]) - set(reader["symbols"])):
                    yield f"{path or '(root)'}: the symbol {gone!r} is gone"
            case "fixed" if reader["size"] != writer["size"]:
                yield f"{path or '(root)'}: a size of {writer['size']} was written, {reader['size']} is to be read"

    def _record(self, reader: Mapping[str, Any], writer: Mapping[str, Any], path: str) -> Iterator[str]:
        if _short(reader) != _short(writer) and full_name(writer) not in _aliases(reader):
            yield f"{path or '(root)'}: a {full_name(writer)} was written, a {full_name(reader)} is to be read"
            return
        pair = (full_name(reader), full_name(writer))
        if pair in self._seen:
            return
        self._seen.add(pair)
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            where = f"{path}.{field['name']}" if path else field["name"]
            name = next((n for n in (field["name"], *field.get("aliases", ())) if n in written), None)
            if name is not None:
                yield from self.of(field["type"], written[name]["type"], where)
            elif "default" not in field:
                yield f"{where}: has no default, and is not in what was written"


def _plain(schema: Any, names: Mapping[str, Any]) -> Any:
    """Return a schema with names looked up, and a primitive as its bare name."""
    while True:
        if isinstance(schema, str):
            found = names.get(schema) or names.get(f"penstock.{schema}")
            return schema if found is None else found
        if isinstance(schema, list) or (isinstance(schema.get("type"), str) and _is_complex(schema["type"])):
            return schema
        schema = schema["type"]


def _is_complex(kind: str) -> bool:
    return kind in (*NAMED, "array", "map")


def _primitive(reader: Any, writer: Any) -> bool:
    if not isinstance(reader, str) or not isinstance(writer, str):
        return False
    return reader == writer or reader in PROMOTIONS.get(writer, ())


def _named(schema: Any) -> dict[str, Any]:
    return {full_name(part, space): part for part, space in _walk(schema, "")}


def _walk(schema: Any, space: str) -> Iterator[tuple[Any, str]]:
    if isinstance(schema, list):
        for part in schema:
            yield from _walk(part, space)
    elif isinstance(schema, dict):
        if schema.get("type") in NAMED:
            yield schema, space
            space = full_name(schema, space).rpartition(".")[0]
        parts: Iterable[Any] = (field["type"] for field in schema.get("fields", ()))
        for part in (*parts, *(schema[key] for key in ("items", "values", "type") if key in schema)):
            yield from _walk(part, space)


def _short(schema: Mapping[str, Any]) -> str:
    return str(schema["name"]).rpartition(".")[2]


def _aliases(schema: Mapping[str, Any]) -> set[str]:
    space = full_name(schema).rpartition(".")[0]
    return {alias if "." in alias else f"{space}.{alias}" for alias in schema.get("aliases", ())}


def _said(schema: Any) -> str:
    if isinstance(schema, str):
        return schema
    if isinstance(schema, list):
        return " or ".join(_said(branch) for branch in schema)
    return f"{schema['type']} {_short(schema)}" if schema["type"] in NAMED else str(schema["type"])
