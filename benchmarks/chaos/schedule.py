"""What happens when: a pure function of the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["kill", "term", "zombie", "add", "remove", "broker", "blackhole", "reset", "latency"]
KINDS: tuple[Kind, ...] = get_args(Kind)

WEIGHTED: tuple[Kind, ...] = (*KINDS, "kill", "kill", "term")
"""One round of the deck, after a first one that has every kind once."""

LASTS_S: dict[Kind, tuple[float, float]] = {
    "kill": (0, 2),
    "term": (0, 1),
    "zombie": (15, 15),
    "add": (10, 20),
    "remove": (8, 15),
    "broker": (1, 8),
    "blackhole": (2, 20),
    "reset": (1, 10),
    "latency": (5, 15),
}
"""For how long, in seconds: from, to. Cuts are shorter and longer than a session (6 s)."""

GAP_S = 6.0
SETTLE_S = 8.0
"""How long a worker is left alone after it came back: nothing is learnt from one that never gets to work."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens: to the worker in `slot` (None: the broker), undone after `lasts_s`."""

    at_s: float
    kind: Kind
    slot: int | None
    lasts_s: float
    delay_ms: int = 0


def plan(
    seed: int, seconds: float, workers: int, zombie_s: float = 15.0, only: Sequence[Kind] = KINDS
) -> tuple[Event, ...]:
    """Return the events of a chaos run; slot number `workers` is the worker that is added."""
    chance = random.Random(seed)
    gap = min(GAP_S, (seconds - 15) / len(KINDS))
    free_at = [0.0] * (workers + 1)
    events: list[Event] = []
    at, deck = 3.0, _shuffled(chance, KINDS, only)
    while at < seconds - 5:
        event = _event(chance, at, deck.pop(), free_at, zombie_s)
        events.append(event)
        if event.slot is not None:
            free_at[event.slot] = at + event.lasts_s + SETTLE_S
        at += gap * chance.uniform(0.5, 1.5)
        deck = deck or _shuffled(chance, WEIGHTED, only)
    return tuple(events)


def _shuffled(chance: random.Random, deck: Sequence[Kind], only: Sequence[Kind]) -> list[Kind]:
    kinds = [kind for kind in deck if kind in only]
    return chance.sample(kinds, len(kinds))


def _event(chance: random.Random, at: float, kind: Kind, free_at: list[float], zombie_s: float) -> Event:
    lasts = zombie_s if kind == "zombie" else chance.uniform(*LASTS_S[kind])
    delay_ms = chance.choice((20, 100, 400)) if kind == "latency" else 0
    return Event(round(at, 2), kind, _slot(chance, at, kind, free_at), round(lasts, 2), delay_ms)


def _slot(chance: random.Random, at: float, kind: Kind, free_at: list[float]) -> int | None:
    """Choose a worker that nothing happens to, else the one that is left alone first."""
    if kind == "broker":
        return None
    spare = len(free_at) - 1
    if kind == "add":
        return spare
    slots = range(spare)
    return chance.choice([slot for slot in slots if free_at[slot] <= at] or [min(slots, key=lambda s: free_at[s])])
