"""The tasks: bills made up from a seed, what is true of each, and whether a result says exactly that. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from benchmarks.provider.chance import Draws

FOLDER = Path(__file__).parent / "workflow"
STEPS = ("classify", "parties", "amounts", "risk", "decide", "report")
"""The six calls of a task, in the order in which a chain makes them."""

NEEDS = {
    "classify": frozenset[str](),
    "parties": frozenset[str](),
    "amounts": frozenset[str](),
    "risk": frozenset[str](),
    "decide": frozenset({"classify", "amounts", "risk"}),
    "report": frozenset({"parties", "amounts", "decide"}),
}
"""Whose answers a step's prompt reads."""

SCHEMAS: dict[str, dict[str, Any]] = {step: orjson.loads((FOLDER / f"{step}.json").read_bytes()) for step in STEPS}
_VALIDATORS = {step: jsonschema_rs.validator_for(schema) for step, schema in SCHEMAS.items()}

_FIRMS = ("Halden Freight", "Orrin Glassworks", "Tessel Paper", "Marrow Foods", "Quillon Optics", "Sable Timber")
_BUYERS = ("Northgate School", "Pell Harbour Trust", "Ivory Lane Clinic", "Corran Town Council")
_GOODS = ("crates of lamp oil", "window panes", "boxes of paper", "sacks of flour", "lens blanks", "oak boards")
_KINDS = ("invoice", "credit_note", "reminder")
_CURRENCIES = ("EUR", "GBP", "USD")
_CLAUSES = (
    "Goods remain the property of the seller until they are paid in full. ",
    "Please quote the reference with every payment and in every letter about this document. ",
    "Complaints about quality or quantity are to be made in writing within ten days of delivery. ",
    "Delivery was signed for at the loading bay; the signed note is kept for two years. ",
    "Payment is due within thirty days to the account on file, without any deduction. ",
    "Packing material may be given back at the next delivery if it is clean and undamaged. ",
)
_RISKS = {
    "low": "The buyer has paid every bill of the last two years on time.",
    "medium": "Two bills of this buyer were paid late this year.",
    "high": "The bank details differ from those of all earlier bills.",
}
RISKY_ABOVE = 5000.0


@dataclass(frozen=True, slots=True)
class Document:
    """A bill, and the right answer of each step (without its confidence)."""

    id: str
    text: str
    truth: Mapping[str, Mapping[str, Any]]


def document_id(number: int) -> str:
    """Return the id of the task with this number."""
    return f"D-{number:05d}"


def make_document(seed: int, number: int) -> Document:
    """Return the task's document; the same for the same seed and number."""
    draws = Draws(seed, "document", number)
    kind, firm = _KINDS[draws.below(3)], _FIRMS[draws.below(len(_FIRMS))]
    buyer, goods = _BUYERS[draws.below(len(_BUYERS))], _GOODS[draws.below(len(_GOODS))]
    currency, risk = _CURRENCIES[draws.below(3)], tuple(_RISKS)[draws.below(3)]
    reference, date = (
        f"{firm[:2].upper()}-{draws.below(90_000) + 10_000}",
        f"2026-{draws.below(9) + 1:02d}-{draws.below(19) + 10}",
    )
    net = (draws.below(9_000_00) + 50_00) / 100
    vat = round(net * 0.2, 2)
    total = round(net + vat, 2)
    route = right_route(kind, total, risk)
    truth = {
        "classify": {"label": kind, "why": f"The heading of the document says {kind.replace('_', ' ')}."},
        "parties": {"vendor": firm, "customer": buyer, "reference": reference, "date": date},
        "amounts": {"net": net, "vat": vat, "total": total, "currency": currency},
        "risk": {"risk": risk, "reason": _RISKS[risk]},
        "decide": {"route": route},
        "report": {"reference": reference, "total": total, "route": route, "headline": _headline(buyer, firm, goods)},
    }
    return Document(document_id(number), _text(truth, goods, draws), truth)


def right_route(label: str, total: float, risk: str) -> str:
    """Return what the house rules in decide.j2 say; decide's `rules` in workflow.yaml say the same in CEL."""
    if label == "credit_note":
        return "refund"
    return "review" if risk == "high" or total > RISKY_ABOVE else "pay"


def _headline(buyer: str, firm: str, goods: str) -> str:
    return f"{buyer} owes or is owed money by {firm} for {goods}, as the document sets out in full."


def _text(truth: Mapping[str, Mapping[str, Any]], goods: str, draws: Draws) -> str:
    who, money = truth["parties"], truth["amounts"]
    head = f"{truth['classify']['label'].replace('_', ' ').upper()} {who['reference']}\nFrom: {who['vendor']}\nTo: {who['customer']}\n"
    lines = f"Date: {who['date']}\n{draws.below(80) + 2} {goods}\nNet {money['net']:.2f}\nVAT 20% {money['vat']:.2f}\n"
    total = (
        f"Total {money['currency']} {money['total']:.2f}\n\nNote of the accounts office: {truth['risk']['reason']}\n\n"
    )
    clauses = "".join(_CLAUSES[draws.below(len(_CLAUSES))] for _ in range(18))
    return head + lines + total + clauses


def judge(document: Document, outputs: Mapping[str, Any] | None) -> str | None:
    """Return None if `outputs` (step -> answer) is schema-valid and the truth in every field, else what is wrong first."""
    if outputs is None:
        return "no result"
    for step in STEPS:
        answer = outputs.get(step)
        if not isinstance(answer, Mapping):
            return f"{step}: missing"
        if not is_valid(step, answer):
            return f"{step}: breaks its schema"
        if {name: value for name, value in answer.items() if name != "confidence"} != document.truth[step]:
            return f"{step}: wrong"
    return None


def is_valid(step: str, answer: Any) -> bool:
    """Say whether an answer keeps to its step's schema."""
    return bool(_VALIDATORS[step].is_valid(answer))


def problems(step: str, answer: Any) -> list[str]:
    """Return what an answer's schema has against it."""
    return [error.message for error in _VALIDATORS[step].iter_errors(answer)]
