"""Decide one exchange: which rule, which fault, which answer. No sockets, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from benchmarks.provider.chance import Draws, delay_s
from benchmarks.provider.config import Config, Rule
from benchmarks.provider.ledger import Call
from benchmarks.provider.schema_values import value_for

_SENTENCES = (
    "The gate opens when the reservoir is full. ",
    "Every record keeps its place in the stream. ",
    "A turbine turns only as fast as the water allows. ",
    "What was written once is read the same by all. ",
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat completion as the server understood it; `text` is every message's content, `prompt` the first one's."""

    body: Mapping[str, Any]
    headers: Mapping[str, str]
    model: str
    prompt: str
    text: str
    prompt_hash: str
    key: str | None
    schema: Mapping[str, Any] | None
    stream: bool
    include_usage: bool
    max_tokens: int | None


@dataclass(slots=True)
class Answer:
    """What the model says, before a fault changes how it is sent."""

    content: str | None
    finish_reason: str | None
    refusal: str | None
    prompt_tokens: int
    completion_tokens: int


def read_request(raw: bytes, headers: Mapping[str, str]) -> ChatRequest:
    """Read a request's body; ValueError says what is wrong with it."""
    body = orjson.loads(raw)
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list) or not body["messages"]:
        raise ValueError("you must provide a messages parameter")
    if not isinstance(body.get("model"), str):
        raise ValueError("you must provide a model parameter")
    contents = [_content(entry) for entry in body["messages"]]
    form = body.get("response_format") or {}
    return ChatRequest(
        body=body,
        headers=headers,
        model=body["model"],
        prompt=contents[0],
        text="\n".join(contents),
        prompt_hash=blake2b(contents[0].encode(), digest_size=8).hexdigest(),
        key=headers.get("idempotency-key") or headers.get("x-penstock-idempotency-key"),
        schema=form["json_schema"].get("schema") if form.get("type") == "json_schema" else None,
        stream=bool(body.get("stream")),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
    )


def _content(entry: Any) -> str:
    content = entry.get("content") if isinstance(entry, dict) else None
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


class Script:
    """Chooses rule and fault for each call; remembers only how far each sequence has been played."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._played: Counter[tuple[int, str]] = Counter()

    def choose(self, request: ChatRequest, call: Call) -> tuple[str | None, float, Answer]:
        """Return the fault (or None), the delay in seconds and the answer."""
        config = self.config
        if config.decide is not None:
            decided = config.decide(request)
            answer = _answer(request, decided.fault, decided.said, config)
            answer.prompt_tokens += decided.more_prompt_tokens
            return decided.fault, decided.delay_s, answer
        draws = Draws(config.seed, request.key or request.prompt_hash, call.nth)
        index, rule = self._rule(request)
        step = self._step(index, rule, request)
        delay = delay_s(rule.latency or config.latency, draws)
        fault = _fault(step, rule, config, draws)
        scripted = step["answer"] if isinstance(step, Mapping) else rule.answer
        if scripted is None and config.answer is not None:
            scripted = config.answer(request)
        return fault, delay, _answer(request, fault, scripted, config)

    def _rule(self, request: ChatRequest) -> tuple[int, Rule]:
        for index, rule in enumerate(self.config.rules):
            if rule.contains is not None and rule.contains not in request.text:
                continue
            if rule.model is not None and rule.model != request.model:
                continue
            if rule.key_contains is not None and rule.key_contains not in (request.key or ""):
                continue
            return index, rule
        return -1, _NO_RULE

    def _step(self, index: int, rule: Rule, request: ChatRequest) -> Any:
        if not rule.sequence:
            return None
        scope = {"all": "", "prompt": request.prompt_hash, "key": request.key or ""}[rule.per]
        played = self._played[index, scope]
        self._played[index, scope] += 1
        if rule.repeat:
            return rule.sequence[played % len(rule.sequence)]
        return rule.sequence[played] if played < len(rule.sequence) else None


_NO_RULE = Rule()


def _fault(step: Any, rule: Rule, config: Config, draws: Draws) -> str | None:
    if isinstance(step, str):
        return None if step == "ok" else step
    if isinstance(step, Mapping):
        return None
    rates = rule.faults if rule.faults is not None else config.faults
    drawn = draws.uniform()
    for name, rate in rates.items():
        drawn -= rate
        if drawn < 0:
            return name
    return None


def _answer(request: ChatRequest, fault: str | None, scripted: Any, config: Config) -> Answer:
    draws = Draws(config.seed, "answer", request.prompt_hash)
    content = _faulty(fault, _said(request, fault, scripted, draws, config), request)
    finish: str | None = {"length": "length", "no_finish_reason": None, "content_filter": "content_filter"}.get(
        fault or "", "stop"
    )
    refusal = "I'm sorry, I can't assist with that." if fault == "refusal" else None
    if content is not None and request.max_tokens and len(content) > request.max_tokens * 4:
        content, finish = content[: request.max_tokens * 4], "length"
    return Answer(content, finish, refusal, tokens(request.text), tokens(content or refusal or ""))


def _said(request: ChatRequest, fault: str | None, scripted: Any, draws: Draws, config: Config) -> str:
    if isinstance(scripted, str):
        return scripted
    if scripted is not None:
        return orjson.dumps(scripted).decode()
    if request.schema is not None:
        confidence = 0.05 if fault == "low_confidence" else None
        return orjson.dumps(value_for(request.schema, draws, confidence)).decode()
    if (request.body.get("response_format") or {}).get("type") == "json_object":
        return '{"answer":"' + _SENTENCES[draws.below(4)].strip() + '"}'
    text = ""
    while len(text) < config.text_chars:
        text += _SENTENCES[draws.below(4)]
    return text[: config.text_chars].strip()


def _faulty(fault: str | None, content: str, request: ChatRequest) -> str | None:
    match fault:
        case "truncated_json" | "length":
            return content[: max(1, len(content) // 2)]
        case "not_an_object":
            return "[" + content + "]" if request.schema is not None else "[1, 2]"
        case "schema_break":
            return orjson.dumps(_broken(content)).decode()
        case "refusal" | "content_filter":
            return None
        case "empty_content":
            return ""
        case _:
            return content


def _broken(content: str) -> Any:
    """Drop the first property and add one that no schema of ours knows."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {"unexpected_property": True}
    if not isinstance(value, dict):
        return {"unexpected_property": True}
    kept = dict(list(value.items())[1:])
    return {**kept, "unexpected_property": True}


def tokens(text: str) -> int:
    """Count tokens the way the estimate does: characters / 4, rounded up."""
    return -(-len(text) // 4)
