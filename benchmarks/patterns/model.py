"""The model of the world, the same for every pattern: what fails, how often, how long an answer takes, what it costs. Pure.

Whatever happens to a call is drawn from (seed, task, step, try): the nth time that anybody asks for this step of this task it
goes the same way, whoever asks. README.md gives the reasons for the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from benchmarks.patterns.documents import NEEDS, STEPS, Document
from benchmarks.provider.chance import Draws

DEADLINE_MS = 60_000

RATES: Mapping[str, float] = {
    "rate_limit": 0.020,
    "http_500": 0.015,
    "reset": 0.005,
    "truncated_json": 0.015,
    "length": 0.005,
    "refusal": 0.005,
    "schema_break": 0.026,
    "stall": 0.008,
}
"""Share of calls, whichever model is asked."""

WEAK: Mapping[str, float] = {"large": 0.033, "small": 0.060}
"""Share of answers that are valid and wrong, with little confidence."""
HARD_SHARE = 0.01
HARD_WEAK: Mapping[str, float] = {"large": 0.35, "small": 0.60}
"""Some steps of some documents are hard: every try at them is wrong this often."""
SURE_AND_WRONG = 0.0003
"""Share of answers that are valid, wrong, and as confident as a right one: nobody can tell."""
FALSE_DOUBT = 0.02
"""Share of right answers with little confidence."""

DOUBTFUL = (0.20, 0.55)
CONFIDENT = (0.65, 0.99)

FIRST_TOKEN_MS = 450.0
TOKEN_MS = 7.0
SPREAD = 0.35
"""An answer takes (FIRST_TOKEN_MS + TOKEN_MS per token) times a lognormal factor with this sigma; both models alike."""
STALL_MS = (8_000.0, 30_000.0)
THROTTLE_MS = 100.0
RETRY_AFTER_S = 1.0

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one call: a fault of the provider's (or None), when, and what the model says if it says anything."""

    fault: str | None
    delay_ms: float
    said: Mapping[str, Any]
    kind: str
    """What the call's record is told: the fault, `stall`, `weak`, `sure_and_wrong`, `false_doubt` or `ok`."""


def size_of(model: str) -> str:
    """Return which of the two rates a model has."""
    return "small" if "mini" in model else "large"


def fate(
    seed: int, level: float, document: Document, step: str, nth: int, model: str, state: Mapping[str, Any]
) -> Fate:
    """Draw what happens to the `nth` call for a step; `level` scales every fault rate (1: as written)."""
    draws = Draws(seed, document.id, step, nth)
    drawn, doubt, factor, more, sure = (draws.uniform() for _ in range(5))
    fault = _fault(drawn, level)
    hard = Draws(seed, "hard", document.id, step).uniform() < HARD_SHARE * level
    weak = HARD_WEAK[size_of(model)] if hard else WEAK[size_of(model)] * level
    said, kind = _said(document, step, doubt, weak, level, sure, state)
    delay = _delay_ms(fault, factor, more, said)
    return Fate(None if fault == "stall" else fault, delay, said, fault or kind)


def _fault(drawn: float, level: float) -> str | None:
    for name, rate in RATES.items():
        drawn -= rate * level
        if drawn < 0:
            return name
    return None


def _said(
    document: Document, step: str, doubt: float, weak: float, level: float, sure: float, state: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Return the model's answer: a wrong one is wrong whatever the step; what was wrong before is not copied on."""
    right = dict(document.truth[step]) if step in STEPS else {"next": right_next(state)}
    wrong = _wrong(step, right, sure)
    confident = round(CONFIDENT[0] + (CONFIDENT[1] - CONFIDENT[0]) * sure, 2)
    doubtful = round(DOUBTFUL[0] + (DOUBTFUL[1] - DOUBTFUL[0]) * sure, 2)
    for share, answer, confidence, kind in (
        (weak, wrong, doubtful, "weak"),
        (SURE_AND_WRONG * level, wrong, confident, "sure_and_wrong"),
        (FALSE_DOUBT * level, right, doubtful, "false_doubt"),
    ):
        doubt -= share
        if doubt < 0:
            return {**answer, "confidence": confidence}, kind
    return {**right, "confidence": confident}, "ok"


def _wrong(step: str, right: Mapping[str, Any], chance: float) -> dict[str, Any]:
    """Change one field into another value that the schema allows."""
    match step:
        case "classify":
            return {**right, "label": "reminder" if right["label"] == "invoice" else "invoice"}
        case "parties":
            return {**right, "vendor": right["customer"], "customer": right["vendor"]}
        case "amounts":
            return {**right, "total": right["net"]}
        case "risk":
            return {**right, "risk": "medium" if right["risk"] == "low" else "low"}
        case "decide":
            return {**right, "route": "review" if right["route"] == "pay" else "pay"}
        case "report":
            return {**right, "total": round(float(right["total"]) * 1.2, 2)}
        case _:
            return {"next": ["finish"] if chance < 0.5 else ["classify"]}


def right_next(state: Mapping[str, Any]) -> list[str]:
    """Return which agents of a mesh should act now, given those that are done and those that run."""
    done, running = frozenset(state.get("done", ())), frozenset(state.get("running", ()))
    if done >= frozenset(STEPS):
        return ["finish"]
    return [step for step in STEPS if step not in done | running and NEEDS[step] <= done]


def _delay_ms(fault: str | None, factor: float, more: float, said: Mapping[str, Any]) -> float:
    if fault == "rate_limit":
        return THROTTLE_MS
    length = sum(len(str(name)) + len(str(value)) + 6 for name, value in said.items()) / 4
    normal = _NORMAL.inv_cdf(min(max(factor, 1e-12), 1 - 1e-12))
    delay = (FIRST_TOKEN_MS + TOKEN_MS * length) * math.exp(SPREAD * normal)
    return delay + STALL_MS[0] + (STALL_MS[1] - STALL_MS[0]) * more if fault == "stall" else delay
