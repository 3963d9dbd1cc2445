"""Live and ready, asked over real HTTP from another thread: an engine that starts, works, is blocked, drains."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from penstock.devkafka import ports
from streams.core.outcome import Done, NodeInput, Outcome
from streams.engine.health import Health
from streams.telemetry.http import serve
from tests.kafka_tools import engine_for, publish, unique
from tests.plans import plan_of

STALE_S = 1.0

Answer = tuple[int, dict[str, Any]]


def ask(port: int, path: str) -> Answer:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.fixture
def health() -> Health:
    return Health(stale_s=STALE_S)


@pytest.fixture
def port(health: Health) -> Iterator[int]:
    chosen = ports.any_free()
    stop = serve(health.routes(), chosen)
    yield chosen
    stop()


class Worked:
    """A workflow that is as ready as it is told."""

    why: str | None = None

    def why_not_ready(self) -> str | None:
        return self.why


def test_before_there_is_anything_to_ask(port: int) -> None:
    assert ask(port, "/livez") == (200, {"live": True, "reasons": []})
    assert ask(port, "/readyz") == (503, {"ready": False, "reasons": ["starting: handlers and providers are loaded"]})


def test_each_workflow_says_what_it_waits_for(health: Health, port: int) -> None:
    one, other = Worked(), Worked()
    health.watch({"one": one, "other": other})
    assert ask(port, "/readyz") == (200, {"ready": True, "reasons": []})
    other.why = "draining"
    assert ask(port, "/readyz") == (503, {"ready": False, "reasons": ["workflow 'other': draining"]})
    assert ask(port, "/healthz")[0] == 503
    assert ask(port, "/livez")[0] == 200


def test_another_path(port: int) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as raised:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/x", timeout=30)
    with raised.value as answer:
        assert answer.read() == b"There are: /healthz, /livez, /readyz\n"


async def test_a_blocked_loop_is_not_live(health: Health, port: int) -> None:
    health.watch({"w": Worked()})
    beating = asyncio.create_task(health.beat())
    await asyncio.sleep(0)
    answers: list[Answer] = []

    def look() -> None:
        time.sleep(STALE_S + 0.3)
        answers.extend([ask(port, "/livez"), ask(port, "/readyz"), ask(port, "/healthz")])

    looking = threading.Thread(target=look)
    looking.start()
    looking.join()  # blocks the loop, as a handler does that is async and does not await
    assert [code for code, _ in answers] == [503, 503, 503]
    assert "the event loop has not turned for 1." in answers[0][1]["reasons"][0]
    assert len(answers[2][1]["reasons"]) == 1
    await asyncio.sleep(0.6)
    assert (await asyncio.to_thread(ask, port, "/livez"))[0] == 200
    beating.cancel()


class Held:
    """A node whose attempts last until they are let go."""

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def execute(self, node_input: NodeInput) -> Outcome:
        self.begun.set()
        await self.go.wait()
        return Done({})


@pytest.mark.kafka
async def test_an_engine_from_its_start_to_its_drain(health: Health, port: int, bootstrap: str) -> None:
    plan, node = plan_of({"a": ()}, unique("health")), Held()
    engine = engine_for(plan, {"a": node}, bootstrap)
    health.watch({plan.id: engine})
    beating = asyncio.create_task(health.beat())

    async def told(path: str = "/readyz") -> Answer:
        return await asyncio.to_thread(ask, port, path)

    code, said = await told()
    assert (code, said["reasons"]) == (503, [f"workflow {plan.id!r}: starting: its topics and versions are looked at"])
    work = asyncio.create_task(engine.run())
    seen = set()
    async with asyncio.timeout(60):
        while (answer := await told())[0] != 200:
            seen.add(answer[1]["reasons"][0])
    assert any("joining the group" in reason or "rebalance" in reason or "restored" in reason for reason in seen), seen
    assert (await told("/healthz"))[0] == 200
    await publish(bootstrap, plan.topic("input"), [{}])
    async with asyncio.timeout(30):
        await node.begun.wait()
    engine.stop()
    assert await told() == (503, {"ready": False, "reasons": [f"workflow {plan.id!r}: draining"]})
    assert (await told("/livez"))[0] == 200
    node.go.set()
    await work
    beating.cancel()
