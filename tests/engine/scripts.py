"""Scripts for the test driver, what is left when they end, and a driver rougher than production: odd batches, odd order, late commits."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.codec import dumps
from schemas.headers import CE_TIME, headers_of
from schemas.ids import ce_id
from schemas.records import NodeRow, Row
from streams.core.inbound import Inbound
from streams.core.outcome import Done, Failed, NodeError, NodeInput, Outcome, Usage
from streams.engine.attempt import Node
from streams.engine.log import Outgoing
from streams.testing import Crash, Read, TopologyTestDriver, answers
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


def start(run_id: str = "r1", value: Any = None) -> Step:
    """Return a step that starts a run."""
    return pipe("input", {"n": 1} if value is None else value, key=run_id)


def cancel(run_id: str = "r1") -> Step:
    """Return a step that cancels a run."""
    return pipe("control", {"type": "cancel", "run_id": run_id})


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


def nodes_of(
    plan: WorkflowPlan, special: Mapping[str, Callable[[NodeInput], Outcome]] | None = None
) -> dict[str, Node]:
    """Return a node for each of the plan's; `special` ones do not echo."""
    return {node.id: answers((special or {}).get(node.id, echo)) for node in plan.nodes}


# ---- the end --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """What a script leaves: rows by table, and records of the public topics by `ce_id`."""

    rows: Mapping[str, Mapping[str, Row]]
    output: Mapping[str, bytes]
    dead: Mapping[str, tuple[str | None, bytes | None, tuple[tuple[str, bytes], ...]]]


def end_of(driver: TopologyTestDriver) -> End:
    """Return the end state; a record written twice must be the same record, but for the time at which intake admitted it."""
    output: dict[str, bytes] = {}
    for read in driver.read("output"):
        assert output.setdefault(_id(read), read.value or b"") == read.value, "two results under one ce_id"
    dead = {}
    for read in driver.read("dead-letter"):
        entry = (read.key, read.value, tuple(h for h in read.headers if h[0] != CE_TIME))
        assert dead.setdefault(_id(read), entry) == entry, "two dead letters under one ce_id"
    return End({table.name: driver.table(table.name) for table in driver.plan.tables}, output, dead)


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


def _id(read: Read) -> str:
    found = read.header("ce_id")
    assert found is not None
    return found


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
