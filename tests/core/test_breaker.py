"""The breaker: closed, open, half open; one probe at a time; nothing a call from before says counts."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streams.core.breaker import Breaker, BreakerPolicy, Permit

POLICY = BreakerPolicy(failures_in_a_row=3, calls_for_share=6, window_ms=10_000)


def opened(now: int = 0) -> Breaker:
    breaker = Breaker(POLICY)
    for _ in range(3):
        permit = breaker.admit(now)
        assert permit is not None
        breaker.failed(permit, now, 0.0)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = opened()
    assert (breaker.state, breaker.probe_at, breaker.why) == ("open", 1_000, "3 failures in a row")
    assert breaker.admit(999) is None


def test_a_share_of_failures_opens_it() -> None:
    breaker = Breaker(POLICY)
    for n in range(6):
        permit = breaker.admit(n)
        assert permit is not None
        if n % 2:
            breaker.failed(permit, n, 0.0)
        else:
            breaker.answered(permit, n)
    assert (breaker.state, breaker.why) == ("open", "3 of the last 6 calls failed")


def test_what_failed_long_ago_does_not_count() -> None:
    breaker = Breaker(POLICY)
    for n in range(20):
        permit = breaker.admit(n * 11_000)
        assert permit is not None
        (breaker.failed(permit, n * 11_000, 0.0) if n % 2 else breaker.answered(permit, n * 11_000))
    assert breaker.state == "closed"


def test_one_probe_at_a_time_and_a_good_one_closes_it() -> None:
    breaker = opened()
    probe = breaker.admit(1_000)
    assert probe == Permit(1, probe=True)
    assert (breaker.state, breaker.admit(1_001), breaker.admit(50_000)) == ("half_open", None, None)
    breaker.answered(probe, 1_200)
    assert breaker.state == "closed"
    assert breaker.admit(1_200) == Permit(2, probe=False)


def test_a_bad_probe_opens_it_for_longer() -> None:
    breaker, now, waits = opened(), 0, []
    for _ in range(5):
        waits.append(breaker.probe_at - now)
        now = breaker.probe_at
        probe = breaker.admit(now)
        assert probe is not None
        breaker.failed(probe, now, 0.0)
    assert waits == [1_000, 1_500, 2_250, 3_000, 3_000]


def test_a_probe_that_was_cancelled_frees_its_place() -> None:
    breaker = opened()
    probe = breaker.admit(1_000)
    assert probe is not None
    breaker.withdrawn(probe)
    assert breaker.admit(1_001) == Permit(1, probe=True)


def test_a_probe_nobody_heard_of_again_frees_its_place() -> None:
    breaker = opened()
    assert breaker.admit(1_000) is not None
    assert breaker.admit(1_000 + POLICY.longest_probe_ms) is not None


class AnyOrder(RuleBasedStateMachine):
    """Calls begin and end in any order, some of them long after the breaker has moved on."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(POLICY)
        self.now = 0
        self.calls: list[Permit] = []

    @rule(ms=st.integers(0, 5_000))
    def time(self, ms: int) -> None:
        self.now += ms

    @rule()
    def begin(self) -> None:
        state, probe_at = self.breaker.state, self.breaker.probe_at
        permit = self.breaker.admit(self.now)
        if permit is None:
            assert state != "closed"
            return
        assert permit.probe == (state != "closed")
        if permit.probe:
            assert self.now >= probe_at
            assert self.breaker.state == "half_open"
        self.calls.append(permit)

    @rule(data=st.data(), end=st.sampled_from(["answered", "failed", "withdrawn"]))
    def end(self, data: st.DataObject, end: str) -> None:
        if not self.calls:
            return
        permit = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        before, current = self.breaker.state, permit.era == self.breaker._era
        match end:
            case "answered":
                self.breaker.answered(permit, self.now)
            case "failed":
                self.breaker.failed(permit, self.now, 0.5)
            case _:
                self.breaker.withdrawn(permit)
        if not current:
            assert self.breaker.state == before
        if before != "closed" and self.breaker.state == "closed":
            assert permit.probe
            assert end == "answered"

    @invariant()
    def at_most_one_probe_is_out(self) -> None:
        current = [call for call in self.calls if call.probe and call.era == self.breaker._era]
        assert len(current) <= 1 + (self.now > POLICY.longest_probe_ms)


AnyOrder.TestCase.settings = settings(max_examples=200, deadline=None)
TestAnyOrder = AnyOrder.TestCase
