"""The gate over real HTTP: what the server's ledger does not show was not sent. Time and chance are the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import orjson
import pytest
from pydantic import SecretStr

from benchmarks.provider import ProviderServer
from streams.core.breaker import BreakerPolicy
from streams.core.outcome import Deferred, Done, Failed, NodeError, Outcome, Usage
from streams.providers import ChatProvider, ProviderConfig
from streams.providers.gate import PATIENCE_MS, BreakerChange, Gate, Pass
from tests.providers.conftest import API_KEY
from tests.providers.test_chat_faults import request

START = 1_000_000
MODEL = "gpt-4o-mini"


@dataclass
class Clock:
    """A clock that stands still until it is told."""

    now: int = START

    def __call__(self) -> int:
        return self.now


@dataclass
class Caller:
    """A provider, its gate's clock, and the calls of a test."""

    provider: ChatProvider
    server: ProviderServer
    clock: Clock
    changes: list[BreakerChange]

    async def call(self, model: str = MODEL, *, deferred: bool = False, tokens: int = 100) -> Outcome:
        asked = request(output=None, deferred=deferred, max_output_tokens=tokens)
        return await self.provider.complete(replace(asked, model=model))

    async def crowd(self, count: int) -> list[Outcome]:
        """Make calls at once: each has entered before the first is answered."""
        return await asyncio.gather(*(self.call() for _ in range(count)))

    async def opened(self, fault: str = "rate_limit") -> int:
        """Have ten calls fail and return when the breaker lets a probe through."""
        self.server.configure(faults={fault: 1.0}, retry_after_s=0)
        assert [type(outcome) for outcome in await self.crowd(10)] == [Failed] * 10
        assert self.provider.gate.breakers[MODEL].state == "open"
        return self.provider.gate.breakers[MODEL].probe_at

    @property
    def states(self) -> list[str]:
        return [change.state for change in self.changes]


@asynccontextmanager
async def calling(server: ProviderServer, **limits: int) -> AsyncIterator[Caller]:
    provider = ChatProvider(ProviderConfig("acme", SecretStr(API_KEY), server.base_url, **limits))  # type: ignore[arg-type]
    caller = Caller(provider, server, Clock(), [])
    provider.gate.clock, provider.gate.chance = caller.clock, lambda: 0.0
    provider.gate.listeners.append(caller.changes.append)
    yield caller
    await provider.aclose()


@pytest.fixture
async def caller(server: ProviderServer) -> AsyncIterator[Caller]:
    async with calling(server) as made:
        yield made


def until(outcome: Outcome | Pass, reason: str) -> int:
    assert isinstance(outcome, Deferred), outcome
    assert (outcome.reason, outcome.model) == (reason, MODEL)
    return outcome.until_ms


# ---- the breaker ----------------------------------------------------------------------------------------------------


async def test_a_storm_of_429_opens_the_breaker_and_nothing_more_is_sent(caller: Caller) -> None:
    probe_at = await caller.opened()
    assert [until(outcome, "breaker_open") for outcome in await caller.crowd(5)] == [probe_at] * 5
    assert len(caller.server.calls) == 10
    assert caller.changes == [BreakerChange("acme", MODEL, "open", START, START + 1_000, "10 failures in a row")]


async def test_another_model_of_the_provider_is_called_all_the_same(caller: Caller) -> None:
    await caller.opened()
    caller.server.configure(faults={})
    assert isinstance(await caller.call("gpt-4o"), Done)


@pytest.mark.parametrize("fault", ["http_503", "reset", "malformed_body"])
async def test_what_is_the_providers_fault_opens_the_breaker(caller: Caller, fault: str) -> None:
    assert await caller.opened(fault) == START + 1_000


@pytest.mark.parametrize("fault", ["http_400", "http_401", "refusal", "length", "schema_break"])
async def test_what_is_not_the_providers_fault_does_not(caller: Caller, fault: str) -> None:
    caller.server.configure(faults={fault: 1.0})
    await caller.crowd(30)
    assert caller.states == []


async def test_one_probe_is_sent_at_a_time_and_one_that_is_cancelled_makes_way(caller: Caller) -> None:
    caller.clock.now = await caller.opened()
    caller.server.configure(faults={"hang": 1.0})
    probe = asyncio.create_task(caller.call(deferred=True))
    await caller.server.called(11)
    assert until(await caller.call(deferred=True), "breaker_open") > caller.clock.now
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert len(caller.server.calls) == 11
    caller.server.configure(faults={})
    assert isinstance(await caller.call(deferred=True), Done)
    assert caller.states == ["open", "half_open", "closed"]


async def test_recovery_closes_it_for_all(caller: Caller) -> None:
    caller.clock.now = await caller.opened()
    caller.server.configure(faults={})
    assert isinstance(await caller.call(), Done)
    assert all(isinstance(outcome, Done) for outcome in await caller.crowd(20))
    assert caller.changes[-1] == BreakerChange(
        "acme", MODEL, "closed", caller.clock.now, None, "the probe was answered"
    )


async def test_a_probe_answered_by_429_is_deferred_and_opens_it_again(caller: Caller) -> None:
    caller.clock.now = await caller.opened()
    again = until(await caller.call(), "breaker_open")
    assert again == caller.clock.now + 1_500
    assert until(await caller.call(), "breaker_open") == again
    assert len(caller.server.calls) == 11
    assert caller.states == ["open", "half_open", "open"]


async def test_a_probe_answered_by_429_is_deferred_for_as_long_as_the_provider_asks(caller: Caller) -> None:
    caller.clock.now = await caller.opened()
    caller.server.configure(retry_after_s=30)
    assert until(await caller.call(), "breaker_open") == caller.clock.now + 30_000
    assert until(await caller.call(), "rate_limited") == caller.clock.now + 30_000


async def test_a_probe_answered_by_503_has_failed(caller: Caller) -> None:
    caller.clock.now = await caller.opened()
    caller.server.configure(faults={"http_503": 1.0})
    outcome = await caller.call()
    assert isinstance(outcome, Failed)
    assert outcome.error.kind == "provider_unavailable"
    assert caller.states == ["open", "half_open", "open"]


async def test_a_probe_that_is_refused_shows_that_the_provider_is_back(caller: Caller) -> None:
    caller.clock.now = await caller.opened()
    caller.server.configure(faults={"http_400": 1.0})
    assert isinstance(await caller.call(), Failed)
    assert caller.states == ["open", "half_open", "closed"]


async def test_calls_from_before_it_opened_do_not_close_it(caller: Caller) -> None:
    made = caller.provider.gate
    good, bad = held(made), held(made)  # under way while ten others fail
    caller.clock.now = await caller.opened()
    assert made.leave(good, Done({}), {}) == Done({})
    made.leave(bad, Failed(FAULT), {})
    assert caller.states == ["open"]
    assert made.breakers[MODEL].probe_at == caller.clock.now


async def test_a_deferred_crowd_comes_back_spread_over_time(caller: Caller) -> None:
    probe_at = await caller.opened()
    caller.provider.gate.chance = lambda: 0.5
    back = [until(outcome, "breaker_open") for outcome in await caller.crowd(100)]
    assert back == [probe_at + 10 * n for n in range(1, 101)]  # each anywhere within 20 ms for everybody before it


# ---- what the provider asks for -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["rate_limit", "rate_limit_ms"])
async def test_an_open_breaker_tells_when_it_is_tried_next(caller: Caller, fault: str) -> None:
    caller.server.configure(faults={fault: 1.0}, retry_after_s=7)
    await caller.crowd(10)
    assert [(change.state, change.until) for change in caller.changes] == [("open", START + 7_000)]


@pytest.mark.parametrize("fault", ["rate_limit", "rate_limit_ms"])
async def test_the_second_retry_after_in_a_row_blocks_the_model_until_then(caller: Caller, fault: str) -> None:
    """A single one is some gateway shedding one call in twenty: it holds for that call alone."""
    caller.server.configure(faults={fault: 1.0}, retry_after_s=7)
    for _ in range(2):
        assert isinstance(await caller.call(), Failed)
    caller.server.configure(faults={})
    for waited in (0, 6_999):
        caller.clock.now = START + waited
        assert until(await caller.call(deferred=True), "rate_limited") == START + 7_000
    assert len(caller.server.calls) == 2
    assert isinstance(await caller.call("gpt-4o"), Done)
    caller.clock.now = START + 7_000
    assert isinstance(await caller.call(deferred=True), Done)


async def test_a_shorter_wish_does_not_cut_a_longer_one(caller: Caller) -> None:
    caller.server.configure(faults={"rate_limit": 1.0}, retry_after_s=7)
    late = held(caller.provider.gate)
    for _ in range(2):
        assert isinstance(await caller.call(), Failed)
    caller.provider.gate.leave(late, Done({}), exhausted("1s"))
    assert until(await caller.call(), "rate_limited") == START + 7_000


def held(gate: Gate, tokens: int = 0, *, returning: bool = False) -> Pass:
    entered = gate.enter(MODEL, tokens, returning=returning)
    assert isinstance(entered, Pass), entered
    return entered


def exhausted(reset: str, left: str = "0") -> dict[str, str]:
    return {"x-ratelimit-remaining-requests": left, "x-ratelimit-reset-requests": reset}


@asynccontextmanager
async def answering(headers: Mapping[str, str], usage: object) -> AsyncIterator[ChatProvider]:
    """Run a provider that gives one answer with these headers, and count what it used as told."""
    choice = {"message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
    body = orjson.dumps({"model": MODEL, "choices": [choice], "usage": usage})
    head = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close", **headers}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in head.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    provider = ChatProvider(ProviderConfig("acme", SecretStr(API_KEY), f"http://127.0.0.1:{port}/v1"))
    provider.gate.clock, provider.gate.chance = Clock(), lambda: 0.0
    yield provider
    await provider.aclose()
    listening.close()
    await listening.wait_closed()


USAGE = {"prompt_tokens": 3, "completion_tokens": 2}


async def test_an_answer_that_was_the_last_one_allowed_blocks_until_the_reset() -> None:
    async with answering(exhausted("6m0s"), USAGE) as provider:
        assert isinstance(await provider.complete(request(output=None)), Done)
        assert until(await provider.complete(request(output=None)), "rate_limited") == START + 360_000


async def test_an_answer_that_leaves_some_blocks_nothing() -> None:
    async with answering(exhausted("6m0s", left="1"), USAGE) as provider:
        for _ in range(2):
            assert isinstance(await provider.complete(request(output=None)), Done)


async def test_what_the_provider_did_not_count_is_not_metered() -> None:
    async with answering({}, None) as provider:
        outcome = await provider.complete(request(output=None))
    assert isinstance(outcome, Done)
    assert (outcome.metered, outcome.usage, outcome.cost_usd) == (False, Usage(), None)


# ---- our own limits -------------------------------------------------------------------------------------------------


async def test_requests_per_minute_hold_and_calls_come_back_when_told(server: ProviderServer) -> None:
    async with calling(server, requests_per_minute=120) as caller:
        outcomes = await caller.crowd(6)
        assert [type(outcome) for outcome in outcomes] == [Done] * 2 + [Deferred] * 4
        told = [until(outcome, "rate_limited") - START for outcome in outcomes[2:]]
        assert told == [501, 1_001, 1_501, 2_001]
        assert len(server.calls) == 2
        for wait in told:
            caller.clock.now = START + wait
            assert until(await caller.call(), "rate_limited") > START + told[-1]  # a newcomer stands behind them
            assert isinstance(await caller.call(deferred=True), Done)
        assert len(server.calls) == 6


async def test_the_limit_is_the_providers_whatever_the_model(server: ProviderServer) -> None:
    async with calling(server, requests_per_minute=60) as caller:
        assert isinstance(await caller.call("gpt-4o"), Done)
        assert until(await caller.call(), "rate_limited") == START + 1_001


async def test_tokens_per_minute_hold_and_what_was_not_used_is_given_back(server: ProviderServer) -> None:
    async with calling(server, tokens_per_minute=60_000) as caller:  # 1,000 at once
        first, second = await asyncio.gather(caller.call(tokens=600), caller.call(tokens=600))
        assert isinstance(first, Done)
        assert START < until(second, "rate_limited") < START + 1_000
        assert len(server.calls) == 1
        caller.clock.now = until(second, "rate_limited")
        assert [type(await caller.call(tokens=150, deferred=True)) for _ in range(5)] == [Done] * 5


async def test_tokens_are_estimated_by_bytes(server: ProviderServer) -> None:
    async with calling(server, tokens_per_minute=60_000) as caller:
        for text, tokens in (("x" * 4_000, 1_000), ("\u673a" * 4_000, 3_000)):
            asked = request(output=None, messages=(text,), max_output_tokens=1)
            caller.provider.gate._limits[0][0].level = None
            server.configure(faults={"reset": 1.0})  # nobody counts: the estimate stands
            assert isinstance(await caller.provider.complete(asked), Failed)
            assert caller.provider.gate._limits[0][0].level == 1_000 - tokens - 1


async def test_tokens_that_nobody_metered_are_not_given_back(server: ProviderServer) -> None:
    async with calling(server, tokens_per_minute=60_000) as caller:
        server.configure(faults={"reset": 1.0})
        assert isinstance(await caller.call(tokens=900), Failed)
        assert until(await caller.call(tokens=900), "rate_limited") > START + 800


# ---- limits and breaker ---------------------------------------------------------------------------------------------

FAULT = NodeError("provider_unavailable", "503")


def gate(**limits: int) -> tuple[Gate, Clock]:
    """Make a gate whose breaker opens at the first failure."""
    clock, policy = Clock(), BreakerPolicy(failures_in_a_row=1)
    return Gate("acme", policy=policy, clock=clock, chance=lambda: 0.0, **limits), clock  # type: ignore[arg-type]


def test_a_call_that_waits_for_tokens_uses_up_no_request() -> None:
    made, clock = gate(requests_per_minute=60, tokens_per_minute=60_000)
    held(made, 1_500)
    clock.now += 1_000
    clock.now = until(made.enter(MODEL, 1_500, returning=False), "rate_limited")
    assert isinstance(made.enter(MODEL, 1_500, returning=True), Pass)


def test_probes_count_against_requests_per_minute() -> None:
    made, clock = gate(requests_per_minute=3)
    sent = 0
    while clock.now < START + 60_000:
        entered = made.enter(MODEL, 0, returning=True)
        if isinstance(entered, Pass):
            sent += 1
            made.leave(entered, Failed(FAULT), {})
            clock.now = made.breakers[MODEL].probe_at
        else:
            clock.now = entered.until_ms
    assert sent <= 3 + 1


async def test_no_message_makes_the_call_raise(provider: ChatProvider) -> None:
    outcome = await provider.complete(request(messages=("\ud800",)))
    assert isinstance(outcome, Failed)
    assert outcome.error.retryable is False


# ---- who asks first -------------------------------------------------------------------------------------------------


async def test_what_is_throttled_for_good_ends(caller: Caller) -> None:
    caller.clock.now = await caller.opened() + PATIENCE_MS
    assert isinstance(await caller.call(), Failed)


async def test_a_last_chance_waits_while_others_can_ask(caller: Caller) -> None:
    caller.server.configure(faults={"rate_limit": 1.0}, retry_after_s=1)
    for _ in range(3):
        await caller.call()
    caller.clock.now = START + 1_000
    made = caller.provider.gate
    made._expendable[MODEL] = [caller.clock.now + 50]
    assert isinstance(made.enter(MODEL, 1, last_chance=True), Deferred)
    caller.clock.now += 100
    assert isinstance(made.enter(MODEL, 1, last_chance=True), Pass), "nobody else is left to ask"


THROTTLED = Failed(NodeError("rate_limited", "429", retry_after_ms=3_600_000))


def test_a_last_chance_does_not_wait_for_calls_of_another_model() -> None:
    clock = Clock()
    made = Gate("acme", clock=clock, chance=lambda: 0.0)
    made.leave(held(made), replace(THROTTLED, error=replace(THROTTLED.error, retry_after_ms=None)), {})
    for other in [made.enter("other", 0) for _ in range(2)]:
        assert isinstance(other, Pass)
        made.leave(other, THROTTLED, {})
    assert isinstance(made.enter("other", 0), Deferred)  # for an hour
    assert isinstance(made.enter(MODEL, 0, last_chance=True), Pass)


def test_what_was_deferred_long_ago_is_forgotten() -> None:
    made, clock = gate(requests_per_minute=60)
    for _ in range(1_000):
        made.enter(MODEL, 0)
        clock.now += 10_000
        made.enter(MODEL, 0)
        until(made.enter(MODEL, 0), "rate_limited")
    assert len(made._expendable[MODEL]) < 100


def test_a_call_that_waits_for_a_probe_is_not_sent_to_and_fro() -> None:
    made, clock = gate()
    made.chance = lambda: 0.5
    made.leave(held(made), Failed(FAULT), {})
    clock.now = made.breakers[MODEL].probe_at
    held(made)  # a probe that takes ten seconds
    end, told = clock.now + 10_000, 0
    while clock.now < end:
        clock.now = until(made.enter(MODEL, 0, returning=True), "breaker_open")
        told += 1
    assert told <= 20
