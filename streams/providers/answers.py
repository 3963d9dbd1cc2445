"""Read a chat completion: refusal, finish_reason, JSON and schema, in this order; nothing the body holds can raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from streams.core.outcome import NodeError, Usage
from streams.providers.redact import cap

_SCHEMA_ERRORS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion's parts that count, each checked for its type."""

    model: str | None
    content: str | None
    refusal: str | None
    finish_reason: str | None
    usage: Usage | None
    cached_tokens: int


def read_answer(body: bytes) -> Answer:
    """Read the body of a completion; ValueError if it is none."""
    completion = orjson.loads(body)
    choices = completion.get("choices") if isinstance(completion, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError("the body holds no choices")
    said = _object(choices[0].get("message"))
    counted = completion.get("usage")
    return Answer(
        model=_text(completion.get("model")),
        content=_text(said.get("content")),
        refusal=_text(said.get("refusal")),
        finish_reason=_text(choices[0].get("finish_reason")),
        usage=_usage(_object(counted)),
        cached_tokens=_count(_object(_object(counted).get("prompt_tokens_details")).get("cached_tokens")),
    )


def fault_of(answer: Answer, max_output_tokens: int) -> NodeError | None:
    """Return why the answer cannot be used, before anybody looks into its content."""
    if answer.refusal or answer.finish_reason == "content_filter":
        return NodeError("refusal", cap(f"the model refused: {answer.refusal or 'content filter'}", 500))
    match answer.finish_reason:
        case "stop":
            pass
        case "length":
            return NodeError("length", f"the answer was cut at {max_output_tokens} output tokens (max_output_tokens)")
        case None:
            return NodeError("provider_unavailable", "the answer was truncated: it has no finish_reason")
        case other:
            return NodeError("malformed_output", f"the answer ended with finish_reason {other[:50]!r}, not 'stop'")
    if answer.content is None:
        return NodeError("malformed_output", "the answer has no content")
    return None


def read_object(content: str) -> dict[str, Any] | NodeError:
    """Parse the content as a JSON object."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        return NodeError("malformed_output", f"the answer is not JSON: {error}")
    if not isinstance(value, dict):
        return NodeError("malformed_output", f"the answer is a JSON {type(value).__name__}, not an object")
    return value


def schema_fault(problems: list[str]) -> NodeError:
    """Say where an object breaks the schema; each problem is `path: message`."""
    shown = "; ".join(cap(problem, 300) for problem in problems[:_SCHEMA_ERRORS])
    more = f" (and {len(problems) - _SCHEMA_ERRORS} more)" if len(problems) > _SCHEMA_ERRORS else ""
    return NodeError("schema", f"the answer breaks the output schema: {shown}{more}")


def _usage(counted: Mapping[str, Any]) -> Usage | None:
    """Return None if the provider did not count: its cost is then unknown, not nothing."""
    if not any(isinstance(counted.get(name), int) for name in ("prompt_tokens", "completion_tokens")):
        return None
    return Usage(_count(counted.get("prompt_tokens")), _count(counted.get("completion_tokens")))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
