"""The records that send dead letters back: a command for a node, the input itself for an input."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from penstock.client.dead_letter import DeadLetter
from penstock.client.dead_letters import REDRIVEN_FROM
from penstock.client.workflows import Workflow
from schemas import headers as names
from schemas.codec import dumps
from schemas.headers import header, headers_of, public_headers
from schemas.registered import input_of
from streams.core.merge_patch import merge_patch
from streams.core.transition import Send
from topology.naming import control_topic, input_topic

Edit = Mapping[str, Any]
"""A JSON merge patch (RFC 7396)."""

TOO_DEEP = "nested too deeply"

_ADDED = frozenset(name for name, _ in public_headers("-", "-", "-", "-", "-", "-")) - {names.TRACEPARENT}
"""What a dead letter says of itself; the trace goes on."""


def redrive_of(workflow: Workflow, letter: DeadLetter, edit: Edit | None, requested_by: str) -> Send:
    """Return the record that sends a letter back. Twice sent it has its effect once: the node's epoch or the run's id tells."""
    if letter.is_input:
        return _input_again(workflow, letter, edit)
    command = {
        "type": "redrive",
        "run_id": letter.run_id,
        "node": letter.node,
        "epoch": letter.epoch,
        **({} if edit is None else {"edit": edit}),
        "requested_by": requested_by,
    }
    trace = headers_of({names.TRACEPARENT: header(letter.headers, names.TRACEPARENT)})
    return Send(control_topic(workflow.id), letter.key, dumps(command).encode(), trace)


def why_not(letters: Iterable[DeadLetter], edit: Edit) -> str | None:
    """Return why the edit cannot be meant for `letters`: it is of what a node sees, or of an input itself, and not of both."""
    letters = list(letters)
    if _too_deep(edit):
        return TOO_DEEP
    nodes = [letter for letter in letters if not letter.is_input]
    if nodes and len(nodes) < len(letters):
        return "it is of what a node sees or of an input itself, and there are both: say which with --node or --kind"
    for letter in nodes:
        seen = seen_by(letter)
        unknown = sorted(set(edit) - set(seen))
        if unknown:
            there = f"node {letter.node!r} of run {letter.run_id!r} sees; it sees {', '.join(seen)}"
            return f"{unknown[0]!r} is nothing that {there}"
    deep = (letter for letter in letters if letter.is_input and _too_deep(merge_patch(_json_of(letter.value), edit)))
    return next((f"dead letter {letter.place}: {TOO_DEEP}" for letter in deep), None)


def seen_by(letter: DeadLetter) -> list[str]:
    """Return what the failed node saw, by name."""
    content = _json_of(letter.value)
    return ["input", *(name for name in content if name != "input")] if isinstance(content, dict) else ["input"]


def content_of(value: bytes | None) -> Any:
    """Return the value of JSON or Avro; of anything else, and of what cannot be printed as JSON, its base64 with a note."""
    if value is None:
        return None
    try:
        content, note = input_of(value), TOO_DEEP
    except ValueError:
        content, note = None, "not JSON"
    if note == TOO_DEEP and not _too_deep(content):
        return content
    return {"note": note, "base64": base64.b64encode(value).decode()}


def _too_deep(value: Any) -> bool:
    """Say whether `value` cannot be written, a few levels down in what is printed or published: more deeply nested can be read."""
    try:
        dumps([[[[value]]]])
    except TypeError:
        return True
    return False


def _input_again(workflow: Workflow, letter: DeadLetter, edit: Edit | None) -> Send:
    """Return the input as it came, edited, with the name of its run: intake makes one run of any number of them."""
    value = letter.value if edit is None else dumps(merge_patch(_json_of(letter.value), edit)).encode()
    kept = tuple((name, text) for name, text in letter.headers if not _is_ours(name))
    own = headers_of({names.RUN_ID: letter.run_id, REDRIVEN_FROM: letter.place})
    return Send(input_topic(workflow.id), letter.key, value, kept + own)


def _is_ours(name: str) -> bool:
    return name.startswith(names.ERROR) or name in _ADDED or name in (names.RUN_ID, REDRIVEN_FROM)


def _json_of(value: bytes | None) -> Any:
    """Return the value of JSON or Avro; None for anything else, in whose place an edit is put."""
    try:
        return input_of(value or b"null")
    except ValueError:
        return None
