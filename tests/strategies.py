"""Hypothesis strategies shared by tests: records by their dataclass fields, and small random workflows."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from streams.core.outcome import NodeInput, Outcome
from tests.engine.scripts import broken, flaky
from tests.plans import plan_of
from topology.plan import WorkflowPlan

LONGS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def records(cls: type) -> st.SearchStrategy[Any]:
    """Return a strategy for instances of `cls` with every field drawn, whatever its default is."""
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{field.name: _field(hints[field.name]) for field in dataclasses.fields(cls)})


def _field(kind: Any) -> st.SearchStrategy[Any]:
    origin, arms = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(_field(arm) for arm in arms))
    if origin is typing.Literal:
        return st.sampled_from(arms)
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return st.dictionaries(_field(arms[0]), _field(arms[1]), max_size=3)
    if origin is tuple:
        return st.lists(_field(arms[0]), max_size=3).map(tuple)
    if dataclasses.is_dataclass(kind):
        return records(typing.cast(type, kind))
    kind = getattr(kind, "__supertype__", kind)  # a NewType is what it is made of
    plain = {
        str: TEXTS,
        int: LONGS,
        bool: st.booleans(),
        bytes: st.binary(max_size=20),
        float: st.floats(allow_nan=False),
        type(None): st.none(),
    }
    return plain[kind]


# ---- workflows ------------------------------------------------------------------------------------------------------

Behaviour = Callable[[NodeInput], Outcome]


@dataclass(frozen=True)
class Workflow:
    """A random plan and those of its nodes that do not simply answer."""

    plan: WorkflowPlan
    special: Mapping[str, Behaviour]
    said: str

    def __repr__(self) -> str:
        return self.said


FATES: Mapping[str, Behaviour | None] = {
    "fine": None,
    "flaky": flaky(1),
    "very flaky": flaky(2),
    "exhausted": flaky(9),
    "broken": broken,
}


@st.composite
def workflows(draw: st.DrawFn, max_nodes: int = 6) -> Workflow:
    """Draw a DAG of at most six nodes with random joins, conditions and behaviour; most nodes are fine."""
    names = "abcdef"[: draw(st.integers(1, max_nodes))]
    dag: dict[str, Sequence[str]] = {}
    nodes, fates = {}, {}
    for at, name in enumerate(names):
        dag[name] = sorted(draw(st.sets(st.sampled_from(names[:at]), max_size=3))) if at else ()
        nodes[name] = {
            "join": draw(st.sampled_from(["all_success", "any_success", "all_done"])),
            "when": draw(st.sampled_from([None, None, None, "input.n > 1", "input.none.n > 1"])),
        }
        fates[name] = draw(st.sampled_from(["fine", "fine", "fine", "flaky", "very flaky", "exhausted", "broken"]))
    special = {name: behaviour for name, fate in fates.items() if (behaviour := FATES[fate])}
    return Workflow(plan_of(dag, nodes=nodes), special, f"{dag} {nodes} {fates}")
