"""What the server answers and how it fails: plain data, read from JSON or built in a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

Fault = Literal[
    "rate_limit",  # 429 with Retry-After
    "rate_limit_date",  # 429, Retry-After as an HTTP date
    "rate_limit_ms",  # 429 with retry-after-ms
    "http_400",
    "http_401",  # repeats the caller's key in its message, as careless gateways do
    "http_404",
    "http_408",
    "http_409",
    "http_500",
    "http_503",
    "hang",  # never answers
    "reset",  # RST instead of an answer
    "close",  # closes without an answer
    "cut_body",  # the connection ends in the middle of the body
    "slow_loris",  # the answer trickles, byte after byte
    "malformed_body",  # 200 and a body that is not JSON
    "html_body",  # 200 and a gateway's HTML page
    "no_choices",  # 200, JSON, but no answer in it
    "no_finish_reason",
    "length",
    "content_filter",
    "refusal",
    "truncated_json",  # the content is JSON cut in the middle
    "not_an_object",  # the content is a JSON list
    "schema_break",  # an object that the schema forbids
    "low_confidence",
    "empty_content",
    "malformed_chunk",  # streaming only: a chunk that is not JSON
    "cut_stream",  # streaming only: ends early and cleanly, without finish_reason
]
FAULTS = frozenset(get_args(Fault))
Scope = Literal["all", "prompt", "key"]


@dataclass(frozen=True, slots=True)
class Latency:
    """How long an answer takes: `fixed` (a), `uniform` (a to b), `lognormal` (median a, sigma b), in ms, at most `max_ms`."""

    kind: Literal["fixed", "uniform", "lognormal"] = "fixed"
    a: float = 0.0
    b: float = 0.0
    max_ms: float = 60_000.0

    @classmethod
    def parse(cls, text: str) -> Latency:
        """Read `fixed:100`, `uniform:50:200` or `lognormal:300:0.5`."""
        kind, *numbers = text.split(":")
        if kind not in ("fixed", "uniform", "lognormal") or not 1 <= len(numbers) <= 3:
            raise ValueError(f"latency {text!r}: expected fixed:MS, uniform:LOW:HIGH or lognormal:MEDIAN:SIGMA[:MAX]")
        return cls(kind, *(float(number) for number in numbers))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do for requests whose text has `contains`, whose model is `model` and whose key has `key_contains`.

    `sequence` is played first ("ok", a fault, or {"answer": ...}), counted over `per`; then `answer` and `faults` hold.
    """

    contains: str | None = None
    model: str | None = None
    key_contains: str | None = None
    answer: Any = None
    sequence: tuple[Any, ...] = ()
    per: Scope = "all"
    repeat: bool = False
    faults: Mapping[str, float] | None = None
    latency: Latency | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What `decide` says of a call: its fault (or None), the seconds it takes, what the model says, tokens beside the messages'."""

    fault: Fault | None
    delay_s: float
    said: Any
    more_prompt_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the server can be told; `answer` (in process only) gets a ChatRequest and returns a str, dict or None.

    `decide` (in process only) gets a ChatRequest and returns a Decision, which replaces rules, faults and latency.
    """

    seed: int = 0
    latency: Latency = Latency()
    faults: Mapping[str, float] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    retry_after_s: float = 1.0
    trickle_ms: float = 20.0
    text_chars: int = 400
    chunk_chars: int = 24
    chunk_ms: float = 0.0
    api_key: str | None = None
    models: tuple[str, ...] = ("gpt-4o", "gpt-4o-mini")
    answer: Callable[[Any], Any] | None = None
    decide: Callable[[Any], Decision] | None = None

    def __post_init__(self) -> None:
        for rates in (self.faults, *(rule.faults or {} for rule in self.rules)):
            _check_rates(rates)
        for rule in self.rules:
            _check_sequence(rule)


def _check_rates(rates: Mapping[str, float]) -> None:
    unknown = sorted(set(rates) - FAULTS)
    if unknown:
        raise ValueError(f"unknown fault {unknown[0]!r}; known: {', '.join(sorted(FAULTS))}")
    if any(rate < 0 for rate in rates.values()) or sum(rates.values()) > 1.0 + 1e-9:
        raise ValueError(f"fault rates must be >= 0 and add up to at most 1, not {dict(rates)!r}")


def _check_sequence(rule: Rule) -> None:
    for step in rule.sequence:
        if isinstance(step, Mapping) and set(step) == {"answer"}:
            continue
        if step != "ok" and step not in FAULTS:
            raise ValueError(f"unknown step {step!r} in a sequence: 'ok', a fault or {{'answer': ...}}")


def parse_config(raw: Mapping[str, Any], over: Config | None = None) -> Config:
    """Return `over` (default: the default Config) changed by the JSON object `raw`; ValueError names a bad key."""
    values = _known(raw, Config)
    if isinstance(values.get("latency"), str):
        values["latency"] = Latency.parse(values["latency"])
    if "rules" in values:
        values["rules"] = tuple(_parse_rule(rule) for rule in values["rules"])
    if "models" in values:
        values["models"] = tuple(values["models"])
    return replace(over or Config(), **values)


def _parse_rule(raw: Mapping[str, Any]) -> Rule:
    values = _known(raw, Rule)
    if isinstance(values.get("latency"), str):
        values["latency"] = Latency.parse(values["latency"])
    values["sequence"] = tuple(values.get("sequence", ()))
    return Rule(**values)


def _known(raw: Mapping[str, Any], kind: type[Config] | type[Rule]) -> dict[str, Any]:
    names = {entry.name for entry in fields(kind)}
    unknown = sorted(set(raw) - names)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; known: {', '.join(sorted(names))}")
    return dict(raw)
