"""The breaker, whatever calls come and end in whatever order."""

from __future__ import annotations

from copy import deepcopy
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from streams.core.breaker import Breaker, BreakerPolicy, Permit

POLICY = BreakerPolicy()
End = Literal["answered", "failed", "withdrawn"]
ENDS: tuple[End, ...] = ("answered", "failed", "withdrawn")


class AnyBreaker(RuleBasedStateMachine):
    """Calls begin and end in any order; what the breaker must say is told from their ends alone."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now = 0
        self.period = 0
        self.out: list[tuple[int, Permit, int]] = []
        self.ended: list[tuple[int, bool]] = []

    @rule(ms=st.one_of(st.integers(0, 3_000), st.integers(0, 40_000)))
    def time_passes(self, ms: int) -> None:
        self.now += ms
        longest = POLICY.longest_probe_ms
        self.out = [
            one for one in self.out if not (one[1].probe and one[2] + longest <= self.now)
        ]  # nobody hears of it

    @precondition(lambda self: self.breaker.state != "closed")
    @rule()
    def the_cooldown_is_waited_for(self) -> None:
        self.now = max(self.now, self.breaker.probe_at)

    @rule()
    def a_call_begins(self) -> None:
        before, probing = self.breaker.state, self.probes_out()
        permit = self.breaker.admit(self.now)
        if before == "closed":
            assert permit is not None
            assert not permit.probe
        elif self.now < self.breaker.probe_at or probing:
            assert permit is None
        else:
            assert permit is not None
            assert (permit.probe, self.breaker.state) == (True, "half_open")
        if permit is not None:
            self.out.append((self.period, permit, self.now))
        assert self.probes_out() <= 1

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 1_000), end=st.sampled_from(ENDS), jitter=st.floats(0, 1, exclude_max=True))
    def a_call_ends(self, which: int, end: End, jitter: float) -> None:
        self.end(self.out.pop(which % len(self.out)), end, jitter)

    @rule(
        ends=st.one_of(
            st.lists(st.just("failed"), min_size=8, max_size=12),
            st.lists(st.sampled_from(["answered", "failed"]), min_size=18, max_size=30),
        )
    )
    def calls_come_one_by_one(self, ends: list[End]) -> None:
        for end in ends:
            if self.breaker.state == "closed":
                self.a_call_begins()
                self.end(self.out.pop(), end, 0.0)

    def end(self, call: tuple[int, Permit, int], end: End, jitter: float) -> None:
        period, permit, _ = call
        before = deepcopy(self.breaker)
        match end:
            case "answered":
                self.breaker.answered(permit, self.now)
            case "failed":
                self.breaker.failed(permit, self.now, jitter)
            case "withdrawn":
                self.breaker.withdrawn(permit)
        if period != self.period:
            assert self.breaker == before
        elif permit.probe:
            states = {"answered": "closed", "failed": "open", "withdrawn": "half_open"}
            assert self.breaker.state == states[end]
            self.turned(end != "withdrawn")
        elif end == "withdrawn":
            assert self.breaker == before
        else:
            self.ended.append((self.now, end == "failed"))
            opens = end == "failed" and self.has_reason()
            assert self.breaker.state == ("open" if opens else "closed")
            self.turned(opens)

    def turned(self, yes: bool) -> None:
        if not yes:
            return
        self.period, self.ended = self.period + 1, []
        if self.breaker.state == "open":
            cooldown = self.breaker.probe_at - self.now
            assert POLICY.first_cooldown_ms <= cooldown <= POLICY.longest_cooldown_ms * 1.25

    def has_reason(self) -> bool:
        in_a_row = [failed for _, failed in self.ended[-10:]]
        lately = [failed for at, failed in self.ended if at >= self.now - 30_000]
        return (len(in_a_row) == 10 and all(in_a_row)) or (len(lately) >= 20 and sum(lately) >= 0.5 * len(lately))

    def probes_out(self) -> int:
        return sum(permit.probe and period == self.period for period, permit, _ in self.out)


TestAnyBreaker = AnyBreaker.TestCase
TestAnyBreaker.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def ends(breaker: Breaker, now: int, *, failed: bool) -> None:
    """Make one call while it is closed."""
    permit = breaker.admit(now)
    assert permit is not None
    assert not permit.probe
    if failed:
        breaker.failed(permit, now, 0.0)
    else:
        breaker.answered(permit, now)


def opened() -> Breaker:
    breaker = Breaker()
    for _ in range(POLICY.failures_in_a_row):
        ends(breaker, 0, failed=True)
    assert breaker.state == "open"
    return breaker


def probe(breaker: Breaker, now: int) -> Permit:
    permit = breaker.admit(now)
    assert permit is not None
    assert permit.probe
    return permit


def test_it_says_why_it_opened() -> None:
    assert opened().why == "10 failures in a row"


def test_half_of_twenty_calls_open_it() -> None:
    breaker = Breaker()
    for now in range(20):
        assert breaker.state == "closed"
        ends(breaker, now, failed=bool(now % 2))
    assert (breaker.state, breaker.why) == ("open", "10 of the last 20 calls failed")


def test_calls_of_half_a_minute_ago_do_not_count() -> None:
    breaker = Breaker()
    for n in range(40):
        now = n * 2_000  # at most 16 within the window
        (
            breaker.answered(Permit(0, probe=False), now)
            if n % 3 == 0
            else breaker.failed(Permit(0, probe=False), now, 0.0)
        )
    assert breaker.state == "closed"


def test_the_cooldown_grows_up_to_two_seconds_and_starts_over_once_it_closed() -> None:
    breaker, cooldowns, now = opened(), [], 0
    for _ in range(5):
        cooldowns.append(breaker.probe_at - now)
        now = breaker.probe_at
        breaker.failed(probe(breaker, now), now, 0.0)
    assert cooldowns == [1_000, 1_500, 2_000, 2_000, 2_000]
    now = breaker.probe_at
    breaker.answered(probe(breaker, now), now)
    for _ in range(POLICY.failures_in_a_row):
        ends(breaker, now, failed=True)
    assert breaker.probe_at - now == 1_000


def test_jitter_lengthens_a_cooldown_by_less_than_a_quarter() -> None:
    breaker = opened()
    now = breaker.probe_at
    breaker.failed(probe(breaker, now), now, 0.999)
    assert 1_500 < breaker.probe_at - now < 1_500 * 1.25


def test_a_probe_that_nobody_hears_of_frees_its_place() -> None:
    breaker = opened()
    begun = breaker.probe_at
    probe(breaker, begun)
    assert breaker.admit(begun + POLICY.longest_probe_ms - 1) is None
    assert probe(breaker, begun + POLICY.longest_probe_ms)


def test_a_forgotten_probe_that_is_given_up_does_not_free_the_place_of_the_next() -> None:
    breaker = opened()
    begun = breaker.probe_at
    first = probe(breaker, begun)
    probe(breaker, begun + POLICY.longest_probe_ms)
    breaker.withdrawn(first)
    assert breaker.admit(begun + POLICY.longest_probe_ms + 1) is None
