"""The gate before a provider's calls: rate limits, what the provider asked for, and a breaker per model. It never waits.

A call that may not be made now goes back to the log (`Deferred`) and burns no attempt.
"""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from streams.core.breaker import Breaker, BreakerPolicy, BreakerState, Permit
from streams.core.outcome import DeferralReason, Deferred, Done, Failed
from streams.core.rate_limit import RateLimit
from streams.providers.rate_headers import exhausted_for_ms

log = structlog.get_logger(__name__)

PROVIDER_FAULTS = frozenset({"timeout", "provider_unavailable", "rate_limited"})
"""Failures that say something about the provider; any other answer shows that it is there."""

PATIENCE_MS = 120_000
"""For so long a probe that is answered by 429 burns no attempt; then it does, so that what is throttled for good ends."""

RETURNS_PER_S = 50
LONGEST_SPREAD_MS = 60_000
"""A crowd that was deferred comes back at this rate, so that it does not stand before the gate again at once."""

LOOK_AGAIN_MS = 1_000
"""Whoever waits for others to find out how a provider is asks no sooner: each time goes through the log."""


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """A breaker has changed its state: `since` in epoch ms, `until` when it is tried next (None once it is closed)."""

    provider: str
    model: str
    state: BreakerState
    since: int
    until: int | None
    why: str


Listener = Callable[[BreakerChange], None]


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to make one call of `model`, and what it was estimated to use."""

    model: str
    permit: Permit
    tokens: int


def now_ms() -> int:
    """Return the time in epoch ms."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Gate:
    """All that holds a provider's calls back, in this process. `clock` in epoch ms, `chance` in [0, 1)."""

    provider: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    clock: Callable[[], int] = now_ms
    chance: Callable[[], float] = random.random
    listeners: list[Listener] = field(default_factory=list)
    breakers: dict[str, Breaker] = field(default_factory=dict)
    _limits: list[tuple[RateLimit, bool]] = field(default_factory=list)
    _blocked: dict[str, int] = field(default_factory=dict)
    _deferred: list[int] = field(default_factory=list)
    """When those that were deferred come back."""
    _expendable: dict[str, list[int]] = field(default_factory=dict)
    """The same by model, of those that have attempts to spare."""
    _throttled: set[str] = field(default_factory=set)
    """Models whose last answer was a 429."""

    def __post_init__(self) -> None:
        if self.requests_per_minute is not None:
            self._limits.append((RateLimit(self.requests_per_minute), False))
        if self.tokens_per_minute is not None:
            self._limits.append((RateLimit(self.tokens_per_minute), True))

    def enter(self, model: str, tokens: int, *, returning: bool = False, last_chance: bool = False) -> Pass | Deferred:
        """Return leave for a call of about `tokens`; `returning` was deferred before and goes before those that come new.

        One that has its `last_chance` lets others find out whether a provider that throttled still does.
        """
        now = self.clock()
        expendable = self._expendable.setdefault(model, [])
        others = _outstanding(expendable, now)
        found = self._enter(model, tokens, now, returning=returning, yields=last_chance and others > 0)
        if isinstance(found, Deferred) and not last_chance:
            heapq.heappush(expendable, found.until_ms)
        return found

    def _enter(self, model: str, tokens: int, now: int, *, returning: bool, yields: bool) -> Pass | Deferred:
        blocked = self._blocked.get(model, 0)
        if blocked > now:
            return self._defer("rate_limited", f"provider {self.provider!r} asked for a pause", blocked, now, model)
        if yields and model in self._throttled:
            why = f"provider {self.provider!r} throttled: others ask first"
            return self._defer("rate_limited", why, now + LOOK_AGAIN_MS, now, model)
        breaker = self.breakers.setdefault(model, Breaker(self.policy, since=now))
        if not breaker.admits(now):
            why = f"the breaker of provider {self.provider!r}, model {model!r} is open: {breaker.fault}"
            # A probe that is out has a whole call's time to end; nobody knows when.
            earliest = breaker.probe_at if breaker.state == "open" else now + LOOK_AGAIN_MS
            return self._defer("breaker_open", why, earliest, now, model)
        until = self._limited(tokens, now, returning)
        if until is not None:
            return Deferred("rate_limited", f"the rate limit of provider {self.provider!r} is reached", until, model)
        return self._pass(model, breaker, tokens, now)

    def _pass(self, model: str, breaker: Breaker, tokens: int, now: int) -> Pass:
        state = breaker.state
        permit = breaker.admit(now)
        if permit is None:
            raise RuntimeError("the breaker was asked a moment ago")
        self._told(model, breaker, state)
        return Pass(model, permit, tokens)

    def leave(self, held: Pass, outcome: Done | Failed, headers: Mapping[str, str]) -> Done | Failed | Deferred:
        """Take note of a call's end and return what it means for the attempt."""
        now = self.clock()
        breaker = self.breakers[held.model]
        state = breaker.state
        failed = isinstance(outcome, Failed) and outcome.error.kind in PROVIDER_FAULTS
        if failed:
            breaker.failed(held.permit, now, self.chance())
        else:
            breaker.answered(held.permit, now)
        self._correct(held, outcome)
        self._obey(held.model, outcome, headers, now)
        self._told(held.model, breaker, state)
        throttled = isinstance(outcome, Failed) and outcome.error.kind == "rate_limited"
        (self._throttled.add if throttled else self._throttled.discard)(held.model)
        if throttled and held.permit.probe and now - (breaker.down_since or now) < PATIENCE_MS:
            # A provider that throttles for a minute must fail no run: whoever asked whether it is back has lost nothing.
            until = max(breaker.probe_at, self._blocked.get(held.model, 0))
            return self._defer("breaker_open", "the probe was answered by 429", until, now, held.model)
        return outcome

    def withdraw(self, held: Pass) -> None:
        """Take note that a call was cancelled."""
        self.breakers[held.model].withdrawn(held.permit)

    def _limited(self, tokens: int, now: int, returning: bool) -> int | None:
        """Return when to come back, or take what a call needs of every limit, and None."""
        needs = [(limit, tokens if by_tokens else 1) for limit, by_tokens in self._limits]
        for limit, units in needs:
            until = limit.wait(units, now, returning=returning)
            if until is not None:
                return until
        for limit, units in needs:
            limit.use(units)
        return None

    def _correct(self, held: Pass, outcome: Done | Failed) -> None:
        for limit, by_tokens in self._limits:
            if by_tokens and outcome.metered:
                limit.correct(outcome.usage.total_tokens - held.tokens)

    def _obey(self, model: str, outcome: Done | Failed, headers: Mapping[str, str], now: int) -> None:
        """Keep all calls back for as long as the provider wishes.

        A single `Retry-After` holds for the call it answers: some gateways shed one call in twenty, and a pause for each would
        stop the rest. The second in a row, with no answer in between, holds for every call.
        """
        wishes = [exhausted_for_ms(headers) or 0]
        if isinstance(outcome, Failed) and outcome.error.retry_after_ms and model in self._throttled:
            wishes.append(outcome.error.retry_after_ms)
        if max(wishes) > 0:
            self._blocked[model] = max(self._blocked.get(model, 0), now + max(wishes))

    def _defer(self, reason: DeferralReason, message: str, earliest: int, now: int, model: str) -> Deferred:
        spread = min((_outstanding(self._deferred, now) + 1) * 1000 / RETURNS_PER_S, LONGEST_SPREAD_MS)
        until = max(earliest, now + 1) + int(spread * self.chance())
        heapq.heappush(self._deferred, until)
        return Deferred(reason, message, until, model)

    def _told(self, model: str, breaker: Breaker, before: BreakerState) -> None:
        if breaker.state == before:
            return
        say = log.info if breaker.state == "closed" else log.warning
        say("breaker", provider=self.provider, model=model, was=before, now=breaker.state, why=breaker.why)
        until = None if breaker.state == "closed" else max(breaker.probe_at, self._blocked.get(model, 0))
        change = BreakerChange(self.provider, model, breaker.state, breaker.since, until, breaker.why)
        for listener in self.listeners:
            listener(change)


def _outstanding(times: list[int], now: int) -> int:
    """Return how many of a heap of times are still to come, and forget the others."""
    while times and times[0] <= now:
        heapq.heappop(times)
    return len(times)
