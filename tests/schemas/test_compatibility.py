"""Schema resolution: the same verdict as the Apache library's, and the field that breaks."""

import copy
import json
from typing import Any

import avro.schema
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from hypothesis import given
from hypothesis import strategies as st

from schemas.compatibility import breaks

INNER = {"type": "record", "name": "Inner", "fields": [{"name": "deep", "type": "string"}]}
OUTER: dict[str, Any] = {
    "type": "record",
    "name": "Outer",
    "namespace": "penstock",
    "fields": [
        {"name": "a", "type": "string"},
        {"name": "b", "type": ["null", "long"], "default": None},
        {"name": "c", "type": ["null", INNER], "default": None},
        {"name": "d", "type": {"type": "array", "items": "Inner"}},
    ],
}


def changed(**fields: Any) -> dict[str, Any]:
    """Return OUTER with other types."""
    made = copy.deepcopy(OUTER)
    for field in made["fields"]:
        if field["name"] in fields:
            field["type"] = fields[field["name"]]
    return made


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        (OUTER, []),
        (changed(a="long"), ["a: string was written, long is to be read"]),
        (changed(b=["null", "double"]), []),
        (changed(b=["null", "string"]), ["b: long was written, and cannot be read any more"]),
        (changed(b="long"), ["b: null was written, long is to be read"]),
        (
            changed(c=["null", {**INNER, "fields": [{"name": "deep", "type": "double"}]}]),
            [f"{at}: string was written, double is to be read" for at in ("c.deep", "d[].deep")],
        ),
        (
            {**OUTER, "fields": [*OUTER["fields"], {"name": "e", "type": "string"}]},
            ["e: has no default, and is not in what was written"],
        ),
        ({**OUTER, "fields": [*OUTER["fields"], {"name": "e", "type": "string", "default": ""}]}, []),
        ({**OUTER, "fields": OUTER["fields"][1:]}, []),
        ([OUTER, "string"], []),
        ({**OUTER, "name": "Other"}, ["(root): a penstock.Outer was written, a penstock.Other is to be read"]),
        ({**OUTER, "name": "Other", "aliases": ["Outer"]}, []),
    ],
)
def test_the_field_that_breaks_is_named(reader: Any, said: list[str]) -> None:
    assert breaks(reader, OUTER) == said


NAMES = st.sampled_from("abc")
SIMPLE = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])


def _union(parts: list[Any]) -> Any:
    """Return a union with each kind once, as Avro has it."""
    kinds: dict[str, Any] = {}
    for part in parts:
        if not isinstance(part, list):
            kinds.setdefault(part if isinstance(part, str) else part["type"], part)
    return list(kinds.values()) or ["null"]


def _record(fields: list[tuple[str, Any, bool]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, kind, optional in fields:
        made[name] = (
            {"name": name, "type": ["null", "long"], "default": None} if optional else {"name": name, "type": kind}
        )
    return {"type": "record", "name": "R", "fields": list(made.values())}


SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda values: {"type": "map", "values": values}, inner),
        st.lists(inner, min_size=1, max_size=3).map(_union),
    ),
    max_leaves=4,
)
RECORDS = st.lists(st.tuples(NAMES, SCHEMAS, st.booleans()), max_size=4).map(_record)


@given(RECORDS, RECORDS)
def test_the_verdict_is_that_of_the_apache_library(reader: Any, writer: Any) -> None:
    parsed = [avro.schema.parse(json.dumps(each)) for each in (reader, writer)]
    theirs = ReaderWriterCompatibilityChecker().get_compatibility(*parsed).compatibility
    assert (not breaks(reader, writer)) == (theirs is SchemaCompatibilityType.compatible)
