"""The gate over real HTTP: what is held back makes no call, and says when to come back."""

from __future__ import annotations

import pytest

from benchmarks.provider import ProviderServer, Rule
from streams.core.outcome import Deferred, Done, Failed
from streams.providers import ChatProvider, ChatRequest
from streams.providers.gate import BreakerChange, Gate
from streams.providers.rate_headers import duration_ms, exhausted_for_ms


class Clock:
    """Stands still unless told."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(provider: ChatProvider) -> Clock:
    clock = Clock()
    provider.gate.clock, provider.gate.chance = clock, lambda: 0.0
    return clock


def request(model: str = "m", **more: bool) -> ChatRequest:
    return ChatRequest(model, ("hi",), 100, 5_000, "r1/n/0/1", **more)


async def test_a_storm_of_429_opens_the_breaker_which_probes_one_by_one(
    server: ProviderServer, provider: ChatProvider, clock: Clock
) -> None:
    changes: list[BreakerChange] = []
    provider.gate.listeners.append(changes.append)
    server.configure(faults={"rate_limit_ms": 1.0}, retry_after_s=0.001)
    for _ in range(10):
        assert isinstance(await provider.complete(request()), Failed)
        clock.now += 2
    held = await provider.complete(request())
    assert isinstance(held, Deferred)
    assert (held.reason, held.until_ms) == ("breaker_open", provider.gate.breakers["m"].probe_at)
    assert len(server.calls) == 10
    clock.now = held.until_ms
    probe = await provider.complete(request())
    assert isinstance(probe, Deferred), "a probe that is throttled burns no attempt"
    assert len(server.calls) == 11
    server.configure(faults={"http_503": 1.0})
    clock.now = probe.until_ms
    assert isinstance(await provider.complete(request()), Failed), "one that fails otherwise does"
    server.configure(faults={}, rules=(Rule(answer="hello"),))
    clock.now = provider.gate.breakers["m"].probe_at
    assert isinstance(await provider.complete(request()), Done)
    assert isinstance(await provider.complete(request()), Done)
    assert [change.state for change in changes] == [
        "open",
        "half_open",
        "open",
        "half_open",
        "open",
        "half_open",
        "closed",
    ]


async def test_a_breaker_is_of_one_model(server: ProviderServer, provider: ChatProvider, clock: Clock) -> None:
    server.configure(rules=(Rule(model="m", faults={"http_500": 1.0}), Rule(answer="hello")))
    for _ in range(10):
        await provider.complete(request())
    assert isinstance(await provider.complete(request()), Deferred)
    assert isinstance(await provider.complete(request("n")), Done)


async def test_answers_that_cannot_be_used_open_nothing(
    server: ProviderServer, provider: ChatProvider, clock: Clock
) -> None:
    server.configure(faults={"refusal": 1.0})
    outcomes = [await provider.complete(request()) for _ in range(30)]
    assert {type(outcome) for outcome in outcomes} == {Failed}
    server.configure(faults={"http_400": 1.0})
    assert {type(await provider.complete(request())) for _ in range(30)} == {Failed}


async def test_the_second_retry_after_in_a_row_holds_for_all(
    server: ProviderServer, provider: ChatProvider, clock: Clock
) -> None:
    server.configure(faults={"rate_limit_ms": 1.0}, retry_after_s=7.0)
    assert isinstance(await provider.complete(request()), Failed)
    assert isinstance(await provider.complete(request()), Failed)
    held = await provider.complete(request())
    assert isinstance(held, Deferred)
    assert (held.reason, held.until_ms) == ("rate_limited", clock.now + 7_000)
    server.configure(faults={}, rules=(Rule(answer="hello"),))
    clock.now += 7_000
    assert isinstance(await provider.complete(request()), Done)


async def test_a_last_chance_waits_while_others_can_ask(
    server: ProviderServer, provider: ChatProvider, clock: Clock
) -> None:
    server.configure(faults={"rate_limit_ms": 1.0}, retry_after_s=1.0)
    for _ in range(3):
        other = await provider.complete(request())
    assert isinstance(other, Deferred)
    clock.now += 1_000
    provider.gate._expendable[:] = [clock.now + 50]
    assert isinstance(await provider.complete(request(last_chance=True)), Deferred)
    clock.now += 100
    assert isinstance(await provider.complete(request(last_chance=True)), Failed), "nobody else is left to ask"


async def test_limits_of_ours_send_back_to_the_log(server: ProviderServer, provider: ChatProvider) -> None:
    server.configure(rules=(Rule(answer="hello"),))
    clock = Clock()
    provider.gate = Gate("acme", requests_per_minute=60, clock=clock, chance=lambda: 0.0)
    assert isinstance(await provider.complete(request()), Done)
    held = [await provider.complete(request()) for _ in range(2)]
    assert [h.until_ms - clock.now for h in held if isinstance(h, Deferred)] == [1_001, 2_001]
    clock.now += 1_001
    assert isinstance(await provider.complete(request(deferred=True)), Done)
    assert len(server.calls) == 2


async def test_tokens_are_estimated_and_then_counted(server: ProviderServer, provider: ChatProvider) -> None:
    server.configure(rules=(Rule(answer="hello"),))
    provider.gate = Gate("acme", tokens_per_minute=60_000, clock=Clock(), chance=lambda: 0.0)
    outcomes = [await provider.complete(request()) for _ in range(15)]
    assert {type(outcome) for outcome in outcomes} == {Done}, "100 were estimated each time, few were used"


@pytest.mark.parametrize(
    ("text", "ms"), [("1s", 1_000), ("6m0s", 360_000), ("20ms", 20), ("1.5s", 1_500), ("soon", None), ("", None)]
)
def test_durations(text: str, ms: int | None) -> None:
    assert duration_ms(text) == ms


def test_the_longest_of_the_limits_that_are_used_up() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "1s",
    }
    assert exhausted_for_ms(headers) == 2_000
    assert exhausted_for_ms(headers | {"x-ratelimit-remaining-requests": "3"}) == 1_000
    assert exhausted_for_ms({}) is None
