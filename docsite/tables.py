"""Tables in Markdown, made from the JSON Schema that pydantic writes of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {}"),
    ("maxItems", "at most {} of them"),
    ("pattern", "`{}`"),
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a pipe in a cell stays one."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def keys(schema: Schema, definitions: Schema) -> str:
    """Return the table of a model's keys: what each is, whether it must be there, within which bounds."""
    required = schema.get("required", ())
    rows = [
        (f"`{name}`", kind_of(key, definitions), default_of(name, key, required), said_of(key, definitions))
        for name, key in schema["properties"].items()
    ]
    return table(("key", "type", "default", ""), rows)


def kind_of(key: Schema, definitions: Schema) -> str:
    """Name the type of a value as a person would."""
    if "$ref" in key:
        return _named(key["$ref"].rpartition("/")[2], definitions)
    if "const" in key:
        return f"`{key['const']}`"
    if "enum" in key:
        return " \\| ".join(f"`{value}`" for value in key["enum"]).replace("\\|", "|")
    for choice in ("anyOf", "oneOf"):
        if choice in key:
            return " or ".join(kind_of(option, definitions) for option in key[choice] if option.get("type") != "null")
    match key.get("type"):
        case "array":
            return f"list of {kind_of(key.get('items', {}), definitions)}"
        case "object":
            inner = key.get("additionalProperties")
            return f"map of {kind_of(inner, definitions)}" if isinstance(inner, Mapping) else "map"
        case str(name):
            return {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(name, name)
    return "anything"


def default_of(name: str, key: Schema, required: Sequence[str]) -> str:
    """Return the default, in the words of the file."""
    if "const" in key:
        return ""
    if name in required:
        return "**required**"
    value = key.get("default")
    if value in (None, ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def said_of(key: Schema, definitions: Schema) -> str:
    """Return the description with the bounds behind it."""
    text = str(key.get("description", ""))
    bounds = ", ".join(_bounds(key))
    return f"{text} ({bounds})" if bounds else text


def _bounds(key: Schema) -> list[str]:
    found = [
        words.format(f"{key[name]:,}" if isinstance(key[name], int) else key[name])
        for name, words in BOUNDS
        if name in key
    ]
    for option in key.get("anyOf", ()):
        found += _bounds(option)
    return found


def _named(name: str, definitions: Schema) -> str:
    """Return a link to a model's own table, or what a plain definition stands for."""
    definition = definitions.get(name, {})
    return f"[{heading(name)}](#{anchor(name)})" if "properties" in definition else kind_of(definition, definitions)


def heading(name: str) -> str:
    """Return what a model is called in the reference: `LlmNode` is llm node."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.strip().removesuffix(" spec").removesuffix(" settings")


def anchor(name: str) -> str:
    """Return the anchor that the heading gets."""
    return heading(name).replace(" ", "-")
