"""Scripts for the test driver, what is left when they end, and a driver rougher than production: odd batches, odd order, late commits."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.codec import decode, dumps, encode
from schemas.headers import CE_ID, CE_TIME, REUSED, headers_of
from schemas.ids import ce_id, traceparent_of
from schemas.records import (
    TERMINAL_STATUSES,
    AttemptFailed,
    CallLost,
    EpochOpened,
    Json,
    LeaseRow,
    LedgerRow,
    NodeRow,
    Row,
    RunRow,
    Spent,
    Succeeded,
    TimerRow,
    WaiterRow,
)
from streams.core.inbound import Inbound
from streams.core.outcome import Deferred, Done, Failed, NodeError, NodeInput, Outcome, Usage
from streams.core.prices import Price
from streams.core.transition import send
from streams.engine.attempt import Node
from streams.engine.log import Outgoing
from streams.testing import Crash, Read, TopologyTestDriver, answers
from tests.plans import plan_of
from topology.plan import WorkflowPlan


@dataclass(frozen=True)
class Step:
    """Something from outside (`write`), and what the workflow then does (`run`): only the latter crashes."""

    write: Callable[[TopologyTestDriver], None]
    run: Callable[[TopologyTestDriver], None]


def pipe(topic: str, value: Any, key: str | None = None, headers: Mapping[str, str] | None = None) -> Step:
    """Return a step that writes one record and lets the workflow run; `value` is bytes, None or anything else as JSON."""
    raw = value if value is None or isinstance(value, bytes) else dumps(value).encode()
    named = headers_of(headers or {})
    return Step(lambda driver: driver._write(driver._name(topic), raw, key, named), lambda driver: driver._settle())


def advance(minutes: float) -> Step:
    """Return a step that moves the clock on."""
    return Step(lambda driver: None, lambda driver: driver.advance(minutes=minutes))


def play(
    driver: TopologyTestDriver, steps: Sequence[Step], seam: str | None = None, appends: int | None = None, at: int = 0
) -> None:
    """Run `steps`; step `at` crashes once, at `seam` or after so many `appends`, if it comes that far."""
    for index, step in enumerate(steps):
        step.write(driver)
        if index == at:
            driver._crash_at, driver.log.fail_after = seam, appends
        step.run(driver)
        driver._crash_at, driver.log.fail_after = None, None


def start(run_id: str = "r1", value: Any = None, reused: str | None = None) -> Step:
    """Return a step that starts a run; a fork, if there are nodes `reused`."""
    named = {} if reused is None else {REUSED: reused}
    return pipe("input", {"n": 1} if value is None else value, key=run_id, headers=named)


def copied(node: str, run_id: str = "r1", output: str = '{"n":7}') -> Step:
    """Return a step that copies a node's end into a run, as `penstock runs fork` does."""
    end = Succeeded(run_id, node, 0, 0, 0, Json(output), Spent(), "m1", 0, 0, reused=True)
    record = send(node, end, node, 0, 0, traceparent_of("wf", run_id))
    return pipe(node, encode(end), key=run_id, headers={name: value.decode() for name, value in record.headers})


def cancel(run_id: str = "r1") -> Step:
    """Return a step that cancels a run."""
    return pipe("control", {"type": "cancel", "run_id": run_id})


def redrive(node: str, run_id: str = "r1", **more: Any) -> Step:
    """Return a step that redrives a failed node."""
    return pipe("control", {"type": "redrive", "run_id": run_id, "node": node, **more})


def replay(run_id: str = "r1", **more: Any) -> Step:
    """Return a step that runs a run again, from `node` on or as a whole."""
    return pipe("control", {"type": "replay", "run_id": run_id, "replay": "again", **more})


def answer(node: str, run_id: str = "r1", attempt: int = 1, epoch: int = 0, **said: Any) -> Step:
    """Return a step in which an external app answers, with an `output` unless an `error` is given."""
    said = said or {"output": {"score": 7}}
    return pipe(
        "control", {"type": "result", "run_id": run_id, "node": node, "attempt": attempt, "epoch": epoch, **said}
    )


def decision(node: str, run_id: str = "r1", decision: str = "approve", **more: Any) -> Step:
    """Return a step in which ada decides."""
    said = {"type": "review", "run_id": run_id, "node": node, "decision": decision, "reviewer": "ada", **more}
    return pipe("control", said)


# ---- nodes: what they answer depends on their input alone, so that a repeated attempt answers the same --------------


def echo(node_input: NodeInput) -> Outcome:
    """Answer with what was seen, and use some tokens."""
    return Done({"node": node_input.node, "saw": dict(node_input.inputs)}, Usage(3, 5), 0.25, "m")


def flaky(failures: int = 1) -> Callable[[NodeInput], Outcome]:
    """Return a node that fails its first attempts."""
    return lambda i: Failed(NodeError("handler", "not yet"), Usage(1, 1), 0.5) if i.attempt <= failures else echo(i)


def broken(_: NodeInput) -> Outcome:
    """Fail for good."""
    return Failed(NodeError("handler", "never", retryable=False), Usage(2, 0), 0.125)


def fixed_by_an_edit(node_input: NodeInput) -> Outcome:
    """Fail unless the input says that it was mended."""
    return echo(node_input) if node_input.inputs["input"].get("ok") else broken(node_input)


def put_off(node_input: NodeInput) -> Outcome:
    """Be deferred at first."""
    until = 70_000
    return echo(node_input) if node_input.deferred else Deferred("rate_limited", "later", until, "m1")


def never_open(node_input: NodeInput) -> Outcome:
    """Answer with the second model alone."""
    return echo(node_input) if node_input.model == "m2" else Deferred("breaker_open", "open", 1_000, "m1")


def frugal(node_input: NodeInput) -> Outcome:
    """Answer within what was reserved."""
    return Done({"node": node_input.node}, Usage(3, 5), 0.00001, node_input.model)


def frugal_at_last(node_input: NodeInput) -> Outcome:
    """Fail once, and say what that used."""
    if node_input.attempt > 1:
        return frugal(node_input)
    return Failed(NodeError("schema", "label: missing"), Usage(2, 2), 0.000005, node_input.model, "{}")


def unheard(node_input: NodeInput) -> Outcome:
    """Time out once: what that used nobody knows."""
    if node_input.attempt > 1:
        return frugal(node_input)
    return Failed(NodeError("timeout", "no answer"), cost_usd=None, metered=False)


def unsure(node_input: NodeInput) -> Outcome:
    """Be sure with the second model alone."""
    if node_input.model == "m2":
        return echo(node_input)
    return Failed(NodeError("low_confidence", "0.2 is below 0.6", retryable=False), Usage(2, 2), 0.125, "m1", "raw")


def doubtful(node_input: NodeInput) -> Outcome:
    """Answer, and be in doubt of it."""
    error = NodeError("low_confidence", "0.2 is below 0.6", retryable=False)
    return Failed(error, Usage(2, 2), 0.125, "m1", '{"n": 3}', prompt_hash="ab" * 32, output={"n": 3})


def nodes_of(
    plan: WorkflowPlan, special: Mapping[str, Callable[[NodeInput], Outcome]] | None = None
) -> dict[str, Node]:
    """Return a node for each of the plan's; `special` ones do not echo."""
    return {node.id: answers((special or {}).get(node.id, echo)) for node in plan.nodes if node.executes}


@dataclass(frozen=True)
class Story:
    """A workflow, its nodes that do not simply answer, and what happens."""

    dag: Mapping[str, Sequence[str]]
    steps: Sequence[Step]
    special: Mapping[str, Callable[[NodeInput], Outcome]] = field(default_factory=dict)
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)

    def driver(self) -> TopologyTestDriver:
        """Return a driver for it, which has not begun."""
        plan = plan_of(self.dag, nodes=self.nodes, **self.plan)
        return TopologyTestDriver(plan, nodes_of(plan, self.special), prices={"m1": Price(1, 2), "m2": Price(0.1, 0.2)})


# ---- the end --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """What a script leaves: rows by table, and records of the public topics by `ce_id`."""

    rows: Mapping[str, Mapping[str, Row]]
    output: Mapping[str, bytes]
    dead: Mapping[str, tuple[str | None, bytes | None, tuple[tuple[str, bytes], ...]]]


def end_of(driver: TopologyTestDriver) -> End:
    """Return the end state; a record written twice must be the same record, but for the time at which intake admitted it."""
    check_ledger(driver)
    check_leases(driver)
    ordinal = _ordinals(driver)
    output: dict[str, bytes] = {}
    for read in driver.read("output"):
        result = {**read.json, "epoch": ordinal[read.json["run_id"]][read.json["epoch"]]}
        if "audit" in result:
            result["audit"] = list(result["audit"])
        value = dumps(result).encode()
        assert output.setdefault(_id(read, ordinal), value) == value, "two results under one ce_id"
    dead = {}
    for read in driver.read("dead-letter"):
        entry = (read.key, read.value, tuple(h for h in read.headers if h[0] not in (CE_TIME, CE_ID)))
        assert dead.setdefault(_id(read, ordinal), entry) == entry, "two dead letters under one ce_id"
    rows = {
        table.name: {
            key: _renumbered(row, ordinal) for key, row in driver.table(table.name).items() if not _of_lease(row)
        }
        for table in driver.plan.tables
        if table.name != "ledger"  # a call lost in a crash is charged: check_ledger
    }
    return End(rows, output, dead)


Ordinals = Mapping[str, Mapping[int, int]]


def _ordinals(driver: TopologyTestDriver) -> Ordinals:
    """Number each run's epochs from 0: their own numbers are offsets, which a crash moves."""
    epochs: defaultdict[str, set[int]] = defaultdict(lambda: {0})
    for records in driver.log.topics[driver.plan.topic("run")].values():
        for raw in records:
            record = decode(raw.value or b"")
            if isinstance(record, EpochOpened):
                epochs[record.run_id].add(record.epoch)
    numbered = {run: {epoch: n for n, epoch in enumerate(sorted(found))} for run, found in epochs.items()}
    return defaultdict(lambda: {0: 0}, numbered)


def _renumbered(row: Row, ordinals: Ordinals) -> Row:
    if isinstance(row, NodeRow):
        of = ordinals[row.run_id]
        epochs = {node: of[epoch] for node, epoch in row.epochs.items()}
        review = None if row.review is None else replace(row.review, hash="", chain="", requested_at=None)
        return replace(row, epoch=of[row.epoch], opened=of[row.opened], epochs=epochs, review=review)
    if isinstance(row, RunRow):
        of = ordinals[row.run_id]
        nodes = {
            node: replace(
                known, epoch=of[known.epoch], chain=known.chain and "chained"
            )  # hashes have the epoch in them
            for node, known in row.nodes.items()
        }
        return replace(row, epoch=of[row.epoch], nodes=nodes, seen=None)
    return row


def _of_lease(row: Row) -> bool:
    """Say whether a crash may leave the row, or lose it, without harm: a number that is used twice, a row that nobody looks at."""
    return isinstance(row, LeaseRow | WaiterRow) or (isinstance(row, TimerRow) and row.kind == "lease")


def check_leases(driver: TopologyTestDriver) -> None:
    """Check that at the end nobody holds a lease and nobody waits for one."""
    for table in driver.plan.tables:
        for row in driver.table(table.name).values() if table.name.endswith(".leases") else ():
            assert not isinstance(row, LeaseRow) or (row.holder, row.first) == (None, row.next)
    for node in driver.plan.nodes:
        asked = [row for row in driver.table(node.table).values() if isinstance(row, NodeRow) and row.lease == "asked"]
        assert all(row.status in TERMINAL_STATUSES for row in asked)


def check_ledger(driver: TopologyTestDriver) -> None:
    """Check that no run is over its budget and that what is spent is the sum of the journals (PROTOCOL.md 9)."""
    if not driver.plan.has_ledger:
        return
    rows = driver.table("ledger")
    for row in rows.values():
        if isinstance(row, LedgerRow):
            reserved = sum(held.tokens for held in row.reserved.values())
            assert row.max_tokens is None or row.spent_tokens + reserved <= row.max_tokens
            cost = sum(held.cost_usd for held in row.reserved.values())
            assert row.max_cost_usd is None or row.spent_cost_usd + cost <= row.max_cost_usd + 1e-6
            assert row.spent_tokens == _tokens_in_journals(driver, row.run_id)
            assert not row.reserved, "everything has ended, so everything is settled"


def _tokens_in_journals(driver: TopologyTestDriver, run_id: str) -> int:
    """Return the sum over launches of the first record of each."""
    charged: dict[tuple[str, int, int, int], int] = {}
    for node in driver.plan.nodes:
        for records in driver.log.topics[node.topic].values():
            for raw in records:
                found = decode(raw.value or b"")
                ended = isinstance(found, Succeeded | AttemptFailed) and found.metered
                if node.for_each and getattr(found, "node", None) == node.id:
                    continue  # what its items used, once more
                if ended and node.llm and found.run_id == run_id:
                    used = found.spent.prompt_tokens + found.spent.completion_tokens
                    charged.setdefault((found.node, found.epoch, found.seq, found.launch), used)
                elif isinstance(found, CallLost) and found.run_id == run_id:
                    charged.setdefault((found.node, found.epoch, found.seq, found.launch), found.charged.prompt_tokens)
    return sum(charged.values())


def result_id(run_id: str) -> str:
    """Return the `ce_id` of a run's result."""
    return ce_id(run_id, "run", 0, 0, "Result")


def repeated(driver: TopologyTestDriver) -> int:
    """Return how many executions were made again."""
    made = Counter((i.run_id, i.node, i.epoch, i.seq) for i in driver.executions)
    return sum(made.values()) - len(made)


def steady(rows: Mapping[str, Mapping[str, Row]]) -> dict[str, dict[str, Row]]:
    """Return rows without what may differ from one order of topics to another: who ran it and when it was launched."""
    return {table: {key: _steady(row) for key, row in found.items()} for table, found in rows.items()}


def _steady(row: Row) -> Row:
    if isinstance(row, NodeRow):
        return replace(row, launched_at=None, started_at=None)
    return row


def _id(read: Read, ordinals: Ordinals) -> str:
    found = read.header("ce_id")
    assert found is not None
    parts = found.split("/")
    if len(parts) == 5 and parts[2].isdigit():  # run/node/epoch/seq/type
        parts[2] = str(ordinals[parts[0]].get(int(parts[2]), parts[2]))
    return "/".join(parts)


# ---- a rougher world ------------------------------------------------------------------------------------------------


@dataclass
class Subset:
    """Crashes at the `at`-th append call, of whose records only a subset was acknowledged: a prefix per partition, any mix over partitions."""

    at: int
    rng: random.Random
    calls: int = field(default=0)

    def kept(self, records: Sequence[Outgoing]) -> list[Outgoing] | None:
        """Return the records that made it, None if this call is not the one."""
        self.calls += 1
        if self.calls != self.at:
            return None
        places: defaultdict[tuple[str, int | None, bytes | None], list[Outgoing]] = defaultdict(list)
        for record in records:
            key = record.key if record.partition is None else None
            places[(record.topic, record.partition, key)].append(record)
        return [record for found in places.values() for record in found[: self.rng.randint(0, len(found))]]


class RoughDriver(TopologyTestDriver):
    """Handles batches of up to `batch` records, picks partitions and attempts in an order of `rng`, commits every `commit` turns."""

    def __init__(
        self,
        plan: WorkflowPlan,
        nodes: Mapping[str, Node],
        rng: random.Random,
        batch: int = 5,
        commit: int = 3,
        crashes: Sequence[Subset] = (),
    ) -> None:
        self.rng, self.batch, self.commit = rng, batch, commit
        self.crashes = list(crashes)
        self._turns = 0
        super().__init__(plan, nodes)
        whole = self.log.append

        async def append(records: Sequence[Outgoing]) -> Sequence[int]:
            for crash in self.crashes:
                if (kept := crash.kept(records)) is not None:
                    await whole(kept)
                    raise Crash("in the middle of an append")
            return await whole(records)

        self.log.append = append  # type: ignore[method-assign]

    def _write(self, *record: Any) -> None:
        crashes, self.crashes = self.crashes, []
        super()._write(*record)
        self.crashes = crashes

    def _turn(self) -> bool:
        if self._launched and not self._relaunch and self.rng.random() < 0.3:
            return self._execute_next()
        batch = [r for _ in range(self.rng.randint(1, self.batch)) if (r := self._next_record())]
        if not batch:
            return super()._turn()
        for record in batch:
            self._processor.handle(record)
        self._processor.fire_timers()
        self._apply()
        self._turns += 1
        if self._turns % self.commit == 0:
            self._committed = dict(self._position)
        return True

    def _next_record(self) -> Inbound | None:
        ready = [
            (topic, partition)
            for topic in self._processor.topics
            for partition, log in self.log.topics[topic].items()
            if self._position.get((topic, partition), 0) < len(log)
        ]
        if not ready:
            return None
        topic, partition = self.rng.choice(ready)
        at = self._position.get((topic, partition), 0)
        self._position[(topic, partition)] = at + 1
        return self.log.topics[topic][partition][at]

    def _execute_next(self) -> bool:
        addresses = list(self._launched)
        self.rng.shuffle(addresses)
        self._launched = {address: self._launched[address] for address in addresses}
        return super()._execute_next()
