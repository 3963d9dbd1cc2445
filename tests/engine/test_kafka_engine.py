"""The engine on real Kafka: what only a broker can show."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DeleteGroupsRequest

from schemas import headers
from schemas.codec import decode, encode
from schemas.records import NodeRow, OwnerMarker, RunRow
from streams.core.changelog import MARKER_KEY, ChangelogFold
from streams.core.outcome import Done, Failed, NodeError, NodeInput, Outcome
from streams.engine.engine import Batch
from streams.engine.log import Outgoing
from streams.engine.restore import take
from streams.errors import EngineFailure, PositionLost, TopicMismatch, UndecodableRecord
from streams.testing import answers
from tests.kafka_tools import engine_for, publish, read_all, read_until, results, running, unique, until_no_lag
from tests.plans import CHAIN, DIAMOND, plan_of
from topology.naming import consumer_group

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


class Counting:
    """A node that counts its executions and takes a while."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.runs: Counter[tuple[str, str]] = Counter()
        self.begun = asyncio.Event()
        self._seconds = seconds

    async def execute(self, node_input: NodeInput) -> Outcome:
        self.runs[(node_input.node, node_input.run_id)] += 1
        self.begun.set()
        await asyncio.sleep(self._seconds)
        return Done({"node": node_input.node})


async def test_every_input_ends_once_and_poison_in_the_dead_letter(bootstrap: str) -> None:
    plan = plan_of(DIAMOND, unique("diamond"))
    nodes = {node: answers({"from": node}) for node in DIAMOND}
    async with running(engine_for(plan, nodes, bootstrap)):
        keyed = [f"r{n}" for n in range(20)]
        await publish(bootstrap, plan.topic("input"), [{"n": n} for n in range(20)], keyed)
        await publish(bootstrap, plan.topic("input"), [{"n": n} for n in range(10)])
        await publish(bootstrap, plan.topic("input"), [b"{not json", None], ["bad", "none"])
        found = await results(bootstrap, plan, 30)
        dead = await read_until(bootstrap, plan.topic("dead-letter"), lambda rs: len(rs) >= 2)
        await until_no_lag(bootstrap, consumer_group(plan.id))
    assert set(keyed) < set(found)
    assert {len(each) for each in found.values()} == {1}
    assert {result["status"] for each in found.values() for result in each} == {"success"}
    assert {(r.key, r.value, headers.header(r.headers, "penstock.error.kind")) for r in dead} == {
        (b"bad", b"{not json", "invalid_json"),
        (b"none", None, "null_input"),
    }


async def test_a_chain_whose_middle_fails_keeps_the_first_output(bootstrap: str) -> None:
    plan = plan_of(CHAIN, unique("chain"), {"b": {"retry": replace(plan_of(CHAIN).node("b").retry, backoff_ms=50)}})
    broken = answers(Failed(NodeError("handler", "no")))
    nodes = {"a": answers({"x": 1}), "b": broken, "c": answers({})}
    async with running(engine_for(plan, nodes, bootstrap)):
        await publish(bootstrap, plan.topic("input"), [{}], ["r"])
        result = (await results(bootstrap, plan, 1))["r"][0]
        dead = await read_until(bootstrap, plan.topic("dead-letter"), bool)
    assert result["status"] == "failed"
    assert {node: (seen["status"], seen["attempts"]) for node, seen in result["nodes"].items()} == {
        "a": ("success", 1),
        "b": ("failed", 3),
        "c": ("skipped", 0),
    }
    assert len(broken.calls) == 3
    assert orjson.loads(dead[0].value) == {"input": {}, "a": {"x": 1}}
    assert headers.header(dead[0].headers, "penstock.error.node") == "b"
    rows = {r.key: decode(r.value) for r in await read_all(bootstrap, f"penstock.{plan.id}-a-changelog") if r.value}
    assert isinstance(rows[b"r"], NodeRow)
    assert rows[b"r"].output == '{"x":1}'


async def test_workers_that_come_and_go_lose_and_repeat_nothing(bootstrap: str) -> None:
    """A batch fetched while the group rebalances was once dropped, its position not: the inputs were lost."""
    plan = plan_of(DIAMOND, unique("rolling"), partitions=4)
    node = Counting(0.05)
    engines = [engine_for(plan, dict.fromkeys(DIAMOND, node), bootstrap) for _ in range(3)]
    keys = [f"r{n}" for n in range(300)]

    async def feed() -> None:
        for at in range(0, 300, 20):
            await publish(bootstrap, plan.topic("input"), [{"n": at}] * 20, keys[at : at + 20])

    async with running(engines[0]):
        feeding = asyncio.create_task(feed())
        async with running(engines[1]):
            await results(bootstrap, plan, 60)
        async with running(engines[2]):
            await results(bootstrap, plan, 200)
        await feeding
        found = await results(bootstrap, plan, 300)
        await until_no_lag(bootstrap, consumer_group(plan.id))
    assert set(found) == set(keys)
    assert {len(each) for each in found.values()} == {1}
    assert set(node.runs.values()) == {1}


async def test_what_ran_in_a_worker_that_died_is_run_again_by_the_next(bootstrap: str) -> None:
    plan = plan_of(CHAIN, unique("crash"))
    stuck, after = Counting(3600), Counting()
    nodes = {"a": answers({"a": 1}), "b": stuck, "c": answers({})}
    died = asyncio.create_task(engine_for(plan, nodes, bootstrap, session_timeout_ms=6000).run())
    await _until_there(bootstrap, plan.topic("run"))
    await publish(bootstrap, plan.topic("input"), [{}], ["r"])
    await stuck.begun.wait()
    died.cancel()  # no drain: in flight, and nobody to publish it
    await asyncio.gather(died, return_exceptions=True)
    async with running(engine_for(plan, {**nodes, "b": after}, bootstrap)):
        result = (await results(bootstrap, plan, 1))["r"][0]
    assert result["status"] == "success"
    assert len(nodes["a"].calls) == 1  # type: ignore[attr-defined]
    assert after.runs == {("b", "r"): 1}
    assert result["nodes"]["b"]["attempts"] == 1


async def test_a_zombies_late_row_is_overwritten(bootstrap: str) -> None:
    plan = plan_of({"a": ()}, unique("zombie"))
    topic = f"penstock.{plan.id}-a-changelog"
    async with running(engine_for(plan, {"a": answers({"x": 1})}, bootstrap)):
        await publish(bootstrap, plan.topic("input"), [{}], ["r"])
        await results(bootstrap, plan, 1)
        place = next(r.partition for r in await read_all(bootstrap, topic) if r.key == b"r")
        late = encode(NodeRow("r", status="running", seq=7))
        await _write(bootstrap, topic, place, late)
        found = await read_until(bootstrap, topic, lambda rs: _last(rs) not in (None, late) and late in _values(rs))
    last = decode(_last(found) or b"")
    assert isinstance(last, NodeRow)
    assert last.status == "success"


async def test_what_was_decided_before_a_worker_stood_still_is_decided_again(bootstrap: str) -> None:
    """Sent when it wakes up, it would come behind what its successor sent: every result of the batch twice."""
    plan = plan_of({"a": ()}, unique("stopped"))
    engine = engine_for(plan, {"a": answers({"x": 1})}, bootstrap)
    async with running(engine):
        began = time.monotonic() - 60
        decide, append, stopped, sent = engine._decide, engine._log.append, asyncio.Event(), []

        async def stop_after(lane: Batch) -> None:
            await decide(lane)
            if lane and not stopped.is_set():
                stopped.set()
                engine._awake_at -= 3_600

        async def seen(records: Sequence[Outgoing]) -> Sequence[int]:
            sent.extend(engine._awake_at for record in records if record.key != MARKER_KEY)
            return await append(records)

        engine._decide = stop_after  # type: ignore[method-assign]
        engine._log.append = seen  # type: ignore[method-assign]
        await publish(bootstrap, plan.topic("input"), [{}] * 3, ["r0", "r1", "r2"])
        found = await results(bootstrap, plan, 3)
        await until_no_lag(bootstrap, consumer_group(plan.id))
    assert stopped.is_set()
    assert min(sent) > began
    assert {len(each) for each in found.values()} == {1}


async def test_rows_behind_another_workers_marker_are_not_lost(bootstrap: str) -> None:
    """A zombie in the middle of a takeover fences the owner; the owner once committed what its void rows stood for."""
    plan = plan_of({"a": ()}, unique("fenced"))
    changelogs = [f"penstock.{plan.id}-a-changelog", f"penstock.{plan.id}-run-changelog"]
    async with running(engine_for(plan, {"a": answers({"x": 1})}, bootstrap)):
        await publish(bootstrap, plan.topic("input"), [{}] * 5, [f"before{n}" for n in range(5)])
        await results(bootstrap, plan, 5)
        for topic in changelogs:
            for partition in range(plan.partitions):
                await _write(bootstrap, topic, partition, encode(OwnerMarker(100, "zombie")), MARKER_KEY)
        after = [f"after{n}" for n in range(10)]
        await publish(bootstrap, plan.topic("input"), [{}] * 10, after)
        found = await results(bootstrap, plan, 15)
        await until_no_lag(bootstrap, consumer_group(plan.id))
    assert {len(each) for each in found.values()} == {1}
    for topic in changelogs:
        fold: dict[int, ChangelogFold] = defaultdict(ChangelogFold)
        for record in await read_all(bootstrap, topic):
            take(fold[record.partition], record)
        rows = {key: row for each in fold.values() for key, row in each.rows.items()}
        assert set(found) <= set(rows), topic
        assert {row.status for row in rows.values()} == {"success"}  # type: ignore[union-attr]


async def test_a_group_without_positions_over_existing_runs_is_refused(bootstrap: str) -> None:
    plan = plan_of({"a": ()}, unique("expired"))
    node = answers({})
    async with running(engine_for(plan, {"a": node}, bootstrap)):
        await publish(bootstrap, plan.topic("input"), [{}], ["r"])
        await results(bootstrap, plan, 1)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    coordinator = await admin.find_coordinator(consumer_group(plan.id))
    await admin._send_request(DeleteGroupsRequest([consumer_group(plan.id)]), coordinator)
    await admin.close()
    with pytest.raises(PositionLost, match="--resume-from"):
        async with running(engine_for(plan, {"a": node}, bootstrap)) as work:
            await work
    async with running(engine_for(plan, {"a": node}, bootstrap, resume_from_ms=0)):
        await publish(bootstrap, plan.topic("input"), [{}], ["r2"])
        await results(bootstrap, plan, 2)
    assert len(node.calls) == 2  # reading everything again makes no call again: the rows know


async def test_state_of_finished_runs_is_dropped_and_a_repeat_still_known(bootstrap: str) -> None:
    plan = plan_of({"a": ()}, unique("retired"), state_retention_ms=1)
    node = answers({"x": 1})
    async with running(engine_for(plan, {"a": node}, bootstrap)):
        await publish(bootstrap, plan.topic("input"), [{"n": 1}], ["r"])
        await results(bootstrap, plan, 1)
        rows = await read_until(
            bootstrap, f"penstock.{plan.id}-a-changelog", lambda rs: any(r.key == b"r" and r.value is None for r in rs)
        )
        await publish(bootstrap, plan.topic("input"), [{"n": 1}, {"n": 2}], ["r", "r"])
        dead = await read_until(bootstrap, plan.topic("dead-letter"), bool)
    assert [r.value for r in rows if r.key == b"r"][-1] is None
    run = [decode(r.value) for r in await read_all(bootstrap, f"penstock.{plan.id}-run-changelog") if r.key == b"r"][-1]
    assert isinstance(run, RunRow)
    assert (run.retired, run.status, run.nodes) == (True, "success", {})
    assert headers.header(dead[0].headers, "penstock.error.kind") == "run_id_conflict"
    assert dead[0].value == b'{"n":2}'
    assert len(node.calls) == 1


async def test_a_full_executor_takes_in_no_run_but_lets_cancels_flow(bootstrap: str) -> None:
    plan = plan_of({"a": ()}, unique("full"))
    node = Counting(3600)
    async with running(
        engine_for(plan, {"a": node}, bootstrap, max_in_flight=5, max_poll_records=5, drain_timeout_s=1)
    ):
        keys = [f"r{n}" for n in range(60)]
        await publish(bootstrap, plan.topic("input"), [{}] * 60, keys)
        await node.begun.wait()
        await read_until(bootstrap, plan.topic("run"), lambda rs: len(rs) >= 60)
        commands = [{"type": "cancel", "run_id": key} for key in keys]
        await publish(bootstrap, plan.topic("control"), commands, keys)
        found = await results(bootstrap, plan, 60)
    assert {result["status"] for each in found.values() for result in each} == {"cancelled"}
    assert len(node.runs) < 60


@pytest.mark.usefixtures("leaves_no_topics")
async def test_a_row_that_cannot_be_decoded_stops_the_worker(bootstrap: str) -> None:
    plan = plan_of({"a": ()}, unique("garbage"))
    async with running(engine_for(plan, {"a": answers({})}, bootstrap)):
        pass
    await _write(bootstrap, f"penstock.{plan.id}-a-changelog", 1, b"garbage")
    with pytest.raises(UndecodableRecord, match=f"penstock.{plan.id}-a-changelog/1/"):
        await engine_for(plan, {"a": answers({})}, bootstrap).run()


async def test_an_attempt_that_raises_stops_the_worker(bootstrap: str) -> None:
    """A node kind never does; should one, the worker must not run on without it."""

    class Defective:
        async def execute(self, node_input: NodeInput) -> Outcome:
            raise ZeroDivisionError("a defect")

    plan = plan_of({"a": ()}, unique("defect"))

    async def run() -> None:
        async with running(engine_for(plan, {"a": Defective()}, bootstrap)) as work:
            await publish(bootstrap, plan.topic("input"), [{}], ["r"])
            await work

    with pytest.raises(EngineFailure, match="ZeroDivisionError: a defect"):
        await run()


async def test_another_workflow_s_changelog_is_refused(bootstrap: str) -> None:
    name = unique("twin")
    one, other = plan_of({"b_x": ()}, name), plan_of({"x": ()}, f"{name}-b")
    async with running(engine_for(one, {"b_x": answers({})}, bootstrap)):
        pass
    with pytest.raises(TopicMismatch, match="it is another workflow's"):
        await engine_for(other, {"x": answers({})}, bootstrap).run()


async def test_a_topic_with_another_partition_count_is_refused(bootstrap: str) -> None:
    plan = plan_of({"a": ()}, unique("counts"))
    async with running(engine_for(plan, {"a": answers({})}, bootstrap)):
        pass
    with pytest.raises(TopicMismatch, match="has 2 partitions, --partitions asks for 3"):
        await engine_for(plan, {"a": answers({})}, bootstrap, partitions=3).run()


async def test_large_outputs_pass_and_larger_ones_fail_for_good(bootstrap: str) -> None:
    plan = plan_of({**{f"n{i}": () for i in range(7)}, "all": tuple(f"n{i}" for i in range(7))}, unique("large"))
    large = answers({"text": "x" * 999_900})
    async with running(engine_for(plan, dict.fromkeys((n.id for n in plan.nodes), large), bootstrap)):
        await publish(bootstrap, plan.topic("input"), [{}], ["fits"])
        fits = (await results(bootstrap, plan, 1))["fits"][0]
    too_large = answers({"text": "x" * 1_000_001})
    async with running(engine_for(plan, dict.fromkeys((n.id for n in plan.nodes), too_large), bootstrap)):
        await publish(bootstrap, plan.topic("input"), [{}], ["larger"])
        larger = (await results(bootstrap, plan, 2))["larger"][0]
    assert fits["status"] == "success"
    assert len(fits["outputs"]["all"]["text"]) == 999_900
    assert larger["status"] == "failed"
    assert larger["nodes"]["n0"]["error"]["kind"] == "too_large"
    assert larger["nodes"]["n0"]["attempts"] == 1


async def _until_there(bootstrap: str, topic: str) -> None:
    await read_until(bootstrap, topic, lambda rs: True)


async def _write(bootstrap: str, topic: str, partition: int, value: bytes, key: bytes = b"r") -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    owner = [(headers.OWNER_EPOCH, b"0")]
    await producer.send_and_wait(
        topic, value, key=key, partition=TopicPartition(topic, partition).partition, headers=owner
    )
    await producer.stop()


def _values(records: list) -> list[bytes | None]:  # type: ignore[type-arg]
    return [r.value for r in records if r.key == b"r"]


def _last(records: list) -> bytes | None:  # type: ignore[type-arg]
    return (_values(records) or [None])[-1]
