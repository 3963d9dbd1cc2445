"""A circuit breaker, pure: when a provider that fails is not to be called, and who may try whether it is back.

closed -> open by failures in a row or their share of the last calls; open -> half_open after a cooldown, for one probe at a
time; a probe that is answered closes it, one that fails opens it again (Nygard, Release It!, 2nd ed., chapter 5).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

BreakerState = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to open, and for how long; times in ms."""

    failures_in_a_row: int = 10
    failure_share: float = 0.5
    calls_for_share: int = 20
    window_ms: int = 30_000
    first_cooldown_ms: int = 1_000
    cooldown_growth: float = 1.5
    longest_cooldown_ms: int = 2_000
    """Short: a provider that is back is noticed this fast, and one probe in two seconds harms nobody."""
    longest_probe_ms: int = 600_000
    """A probe nobody heard the end of frees its place after this."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call. `era` tells the calls of one closed state from those of another, `number` one probe from the next."""

    era: int
    probe: bool
    number: int = 0


@dataclass(slots=True)
class Breaker:
    """One breaker. `now` is in ms, of any clock that only goes forward; `jitter` in [0, 1)."""

    policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    state: BreakerState = "closed"
    since: int = 0
    why: str = ""
    fault: str = ""
    """Why it opened."""
    probe_at: int = 0
    """When the next probe may be made; of use while it is not closed."""
    down_since: int | None = None
    """When it left the closed state, None while it is closed."""
    _era: int = 0
    _in_a_row: int = 0
    _cooldown: float = 0.0
    _probing: int | None = None
    _probes: int = 0
    _calls: deque[tuple[int, bool]] = field(default_factory=deque)

    def admits(self, now: int) -> bool:
        """Say whether a call may be made now."""
        if self.state == "closed":
            return True
        busy = self._probing is not None and now < self._probing + self.policy.longest_probe_ms
        return not busy and now >= self.probe_at

    def admit(self, now: int) -> Permit | None:
        """Return leave to call, None if there is none now."""
        if not self.admits(now):
            return None
        if self.state == "closed":
            return Permit(self._era, probe=False)
        self._enter("half_open", now, "the cooldown is over")
        self._probing = now
        self._probes += 1
        return Permit(self._era, probe=True, number=self._probes)

    def answered(self, permit: Permit, now: int) -> None:
        """Note that the provider answered a call, whatever it said."""
        if permit.era != self._era:
            return  # launched before it opened: says nothing about now
        if permit.probe:
            self._close(now)
        else:
            self._note(now, failed=False)
            self._in_a_row = 0

    def failed(self, permit: Permit, now: int, jitter: float) -> None:
        """Note that a call failed by the provider's fault."""
        if permit.era != self._era:
            return
        if permit.probe:
            self._open(now, jitter, "the probe failed")
            return
        self._note(now, failed=True)
        self._in_a_row += 1
        why = self._reason()
        if why is not None:
            self._open(now, jitter, why)

    def withdrawn(self, permit: Permit) -> None:
        """Note that a call was given up before its end: a probe's place is free again."""
        if permit.probe and permit.era == self._era and permit.number == self._probes:
            self._probing = None

    def _reason(self) -> str | None:
        policy = self.policy
        if self._in_a_row >= policy.failures_in_a_row:
            return f"{self._in_a_row} failures in a row"
        failed = sum(failed for _, failed in self._calls)
        enough = len(self._calls) >= policy.calls_for_share
        if enough and failed >= policy.failure_share * len(self._calls):
            return f"{failed} of the last {len(self._calls)} calls failed"
        return None

    def _note(self, now: int, *, failed: bool) -> None:
        self._calls.append((now, failed))
        while self._calls and self._calls[0][0] < now - self.policy.window_ms:
            self._calls.popleft()

    def _open(self, now: int, jitter: float, why: str) -> None:
        policy = self.policy
        longer = max(self._cooldown * policy.cooldown_growth, policy.first_cooldown_ms)
        self._cooldown = min(longer, policy.longest_cooldown_ms)
        self.down_since = now if self.down_since is None else self.down_since
        self.probe_at = now + int(self._cooldown * (1 + jitter / 4))
        self._reset()
        self.fault = why
        self._enter("open", now, why)

    def _close(self, now: int) -> None:
        self._cooldown, self.down_since = 0.0, None
        self._reset()
        self._enter("closed", now, "the probe was answered")

    def _reset(self) -> None:
        self._era += 1
        self._in_a_row, self._probing = 0, None
        self._calls.clear()

    def _enter(self, state: BreakerState, now: int, why: str) -> None:
        if state != self.state:
            self.state, self.since = state, now
        self.why = why
