"""Faults are drawn by seed and identity of the call, or played as a script."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from benchmarks.provider import Config, Latency, ProviderServer, Rule, parse_config
from benchmarks.provider.chance import Draws, delay_s
from tests.benchmarks_provider.conftest import chat

CHAT = "/v1/chat/completions"


async def statuses(http: httpx2.AsyncClient, keys: list[str]) -> dict[str, int]:
    async def one(key: str) -> int:
        return (await http.post(CHAT, json=chat(), headers={"idempotency-key": key})).status_code

    return dict(zip(keys, await asyncio.gather(*map(one, keys)), strict=True))


async def test_faults_are_the_same_in_any_order(server: ProviderServer, http: httpx2.AsyncClient) -> None:
    server.configure(seed=5, faults={"http_500": 0.3, "rate_limit": 0.2})
    keys = [f"r{number}/n/0/1" for number in range(60)]
    first = await statuses(http, keys)
    server.reset()
    assert await statuses(http, keys[::-1]) == first
    assert set(first.values()) == {200, 429, 500}


async def test_the_same_key_again_is_another_draw(server: ProviderServer, http: httpx2.AsyncClient) -> None:
    server.configure(faults={"http_500": 0.5})
    got = [(await statuses(http, ["k"]))["k"] for _ in range(30)]
    assert set(got) == {200, 500}
    server.reset()
    assert [(await statuses(http, ["k"]))["k"] for _ in range(30)] == got


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        ("all", [500, 503, 200, 200, 200, 200]),
        ("prompt", [500, 500, 503, 503, 200, 200]),
    ],
)
async def test_a_sequence_is_played(
    server: ProviderServer, http: httpx2.AsyncClient, per: str, expected: list[int]
) -> None:
    server.configure(rules=(Rule(sequence=("http_500", "http_503", "ok"), per=per),))  # type: ignore[arg-type]
    got = [(await http.post(CHAT, json=chat(prompt))).status_code for _ in range(3) for prompt in ("a", "b")]
    assert got == expected


async def test_a_sequence_may_hold_answers_and_repeat(server: ProviderServer, http: httpx2.AsyncClient) -> None:
    server.configure(rules=(Rule(sequence=({"answer": "one"}, "http_500"), repeat=True),))
    replies = [await http.post(CHAT, json=chat()) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [200, 500, 200, 500]
    assert replies[2].json()["choices"][0]["message"]["content"] == "one"


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("fixed:100", 0.1, 0.1), ("uniform:50:200", 0.05, 0.2), ("lognormal:100:0.5:300", 0.01, 0.3)],
)
def test_latencies(text: str, low: float, high: float) -> None:
    drawn = [delay_s(Latency.parse(text), Draws(0, number)) for number in range(2_000)]
    assert low <= min(drawn) <= max(drawn) <= high
    assert sorted(drawn)[1_000] == pytest.approx(0.125 if text.startswith("u") else 0.1, rel=0.1)


async def test_the_ledger(server: ProviderServer, http: httpx2.AsyncClient) -> None:
    await statuses(http, ["a", "b", "a"])
    server.configure(faults={"http_503": 1.0})
    await statuses(http, ["c"])
    listing = (await http.get("/admin/calls")).json()
    assert listing["total"] == 4
    assert sorted(listing["by_key"].items()) == [("a", [200, 200]), ("b", [200]), ("c", [503])]
    assert listing["answered_more_than_once"] == 1
    assert listing["calls"][0]["started_at"] <= listing["calls"][0]["finished_at"]
    assert (await http.get("/admin/calls?key=c")).json()["by_key"] == {"c": [503]}


async def test_concurrency_and_lost_clients_are_counted(server: ProviderServer) -> None:
    server.configure(faults={"hang": 1.0})
    async with httpx2.AsyncClient(base_url=server.root_url) as http:
        calls = [asyncio.create_task(http.post(CHAT, json=chat())) for _ in range(5)]
        await server.called(5)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    assert server.ledger.max_in_flight == 5


async def test_it_is_changed_while_it_runs(server: ProviderServer, http: httpx2.AsyncClient) -> None:
    changed = await http.post("/admin/config", json={"seed": 9, "faults": {"http_500": 1.0}, "latency": "fixed:1"})
    assert changed.json()["seed"] == 9
    assert (await http.post(CHAT, json=chat())).status_code == 500
    await http.post("/admin/config", json={"faults": {}, "rules": [{"contains": "x", "answer": "y"}]})
    assert (await http.post(CHAT, json=chat("x"))).json()["choices"][0]["message"]["content"] == "y"
    assert server.config.seed == 9
    assert (await http.post("/admin/reset")).json() == {"reset": True}
    assert (await http.get("/admin/summary")).json()["total"] == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"sed": 1},
        {"faults": {"http_418": 1.0}},
        {"faults": {"http_500": 0.7, "reset": 0.7}},
        {"faults": {"http_500": -0.1}},
        {"rules": [{"contain": "x"}]},
        {"rules": [{"sequence": ["explode"]}]},
        {"latency": "fast"},
        {"latency": "fixed:abc"},
    ],
)
async def test_a_bad_config_is_refused(http: httpx2.AsyncClient, bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_config(bad)
    assert (await http.post("/admin/config", json=bad)).status_code == 400


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"messages": []}', '{"model": 1, "messages": [1]}'])
async def test_a_bad_request_is_refused(http: httpx2.AsyncClient, body: str) -> None:
    assert (await http.post(CHAT, content=body)).status_code == 400
    assert (await http.get("/nowhere")).status_code == 404


async def test_requests_in_one_packet_are_answered_in_order(server: ProviderServer) -> None:
    server.configure(
        rules=(Rule(contains="slow", latency=Latency.parse("fixed:50"), answer="slow"), Rule(answer="fast"))
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for prompt in ("slow", "quick"):
        body = b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % prompt.encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    received = b""
    while received.count(b"chatcmpl") < 2:
        received += await reader.read(65_536)
    writer.close()
    await writer.wait_closed()
    assert received.index(b'"slow"') < received.index(b'"fast"')


def test_the_default_config_does_nothing_bad() -> None:
    assert Config().faults == {}
