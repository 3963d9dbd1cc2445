"""How a worker and its handler processes talk: pickled values, each behind its length. Both run the same code of ours and the user's."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import Any

from streams.core.outcome import NodeInput
from topology.plan import FunctionPlan

_HEAD = struct.Struct(">Q")
HEAD_BYTES = _HEAD.size


@dataclass(frozen=True, slots=True)
class Hello:
    """The first thing a process is told: what it is for. It answers with None, or with why the handler cannot be loaded."""

    path: list[str]
    plan: FunctionPlan
    workflow_id: str
    module_paths: tuple[str, ...]
    secrets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt; `inputs` is what the handler gets."""

    node_input: NodeInput
    inputs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Logged:
    """What a handler logged, for the worker to log it in its own way."""

    level: str
    fields: dict[str, Any]


def frame(value: Any) -> bytes:
    """Return a value as it travels."""
    body = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return _HEAD.pack(len(body)) + body


def length_of(head: bytes) -> int:
    """Return how many bytes follow a head."""
    (length,) = _HEAD.unpack(head)
    return int(length)


def value_of(body: bytes) -> Any:
    """Return the value of a body; the process it comes from runs code the worker trusts."""
    return pickle.loads(body)  # noqa: S301
