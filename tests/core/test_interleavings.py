"""Between topics there is no order: whatever the interleaving, rows and result come out the same (PROTOCOL.md, Order)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import decode
from schemas.records import NodeRecord, NodeRow, RunRecord, RunRow
from streams.core import node_agent, run_agent
from streams.core.compiled import CompiledNode, compile_workflow
from streams.core.transition import Moment, Send
from streams.testing import PARTITIONS, TopologyTestDriver
from tests.core.examples import MOMENT, cancel_requested, cancelled, failed, root, started, succeeded, workflow
from tests.engine.scripts import advance, cancel, nodes_of, play, start
from tests.strategies import Workflow, workflows
from topology.plan import WorkflowPlan

Entry = RunRecord | NodeRecord
Journals = Mapping[str, Sequence[Entry]]


@dataclass
class Fold:
    """Fresh agents of one run, and what they wrote to public topics."""

    plan: WorkflowPlan

    def __post_init__(self) -> None:
        self.nodes = compile_workflow(self.plan).nodes
        self.rows: dict[str, NodeRow | None] = dict.fromkeys(self.nodes)
        self.run: RunRow | None = None
        self.results: list[Send] = []
        self.dead: list[Send] = []

    def take(self, topic: str, record: Entry) -> None:
        """Give one record to everybody who reads its topic."""
        found = run_agent.decide(self.plan, self.run, record)
        self.run = found.row or self.run  # type: ignore[assignment]
        self._sent(found.sends)
        for name, node in self.nodes.items():
            if topic in self._topics(node):
                found = node_agent.decide(node, self.rows[name], record, Moment(999, 0.5, "fresh"))
                self.rows[name] = found.row or self.rows[name]  # type: ignore[assignment]
                self._sent(found.sends)

    def _topics(self, node: CompiledNode) -> set[str]:
        sources = {self.plan.node(source).topic for source in node.plan.sources}
        return {self.plan.topic("run"), node.plan.topic} | sources

    def _sent(self, sends: Sequence[Send]) -> None:
        self.results += [send for send in sends if send.topic == "wf.output"]
        self.dead += [send for send in sends if send.topic == "wf.dead-letter"]

    def ends(self) -> dict[str, object]:
        """Return how the run and its nodes ended."""
        assert self.run is not None
        ends: dict[str, object] = {name: row and (row.status, row.output) for name, row in self.rows.items()}
        return {**ends, "run": (self.run.status, self.run.finished_at, self.run.nodes)}


def journals_of(found: Workflow, cancels: bool) -> Journals:
    """Return what the journals of a run hold at its end."""
    steps = [start("r1", {"n": 1}), *([cancel("r1")] if cancels else []), advance(1)]
    with TopologyTestDriver(found.plan, nodes_of(found.plan, found.special)) as driver:
        play(driver, steps)
        names = [found.plan.topic("run"), *(node.topic for node in found.plan.nodes)]
        logs = {name: driver.log.topics[name] for name in names}
        return {name: [_entry(r.value) for p in range(PARTITIONS) for r in log[p]] for name, log in logs.items()}


def _entry(value: bytes | None) -> Entry:
    return decode(value or b"")  # type: ignore[return-value]


def shuffled(data: st.DataObject, journals: Journals) -> list[tuple[str, Entry]]:
    """Return all records, in order within a topic, in any order between topics."""
    turns = data.draw(st.permutations([topic for topic, found in journals.items() for _ in found]))
    left = {topic: iter(found) for topic, found in journals.items()}
    return [(topic, next(left[topic])) for topic in turns]


def folds(data: st.DataObject, found: Workflow, cancels: bool) -> tuple[Fold, Fold]:
    """Return the fold in the order of topics and the fold in another order."""
    journals = journals_of(found, cancels)
    plain, other = Fold(found.plan), Fold(found.plan)
    for topic, records in journals.items():
        for record in records:
            plain.take(topic, record)
    for topic, record in shuffled(data, journals):
        other.take(topic, record)
    return plain, other


FEW = settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@FEW
@given(data=st.data(), found=workflows(max_nodes=5), cancels=st.booleans())
def test_every_interleaving_ends_alike(data: st.DataObject, found: Workflow, cancels: bool) -> None:
    plain, other = folds(data, found, cancels)
    assert other.ends() == plain.ends()
    assert other.results == plain.results
    assert len(plain.results) == 1
    assert sorted(other.dead, key=repr) == sorted(plain.dead, key=repr)


def test_a_dead_letter_is_the_same_whichever_topic_is_read_first() -> None:
    """After a crash the node's own `Failed` is there already when `Started` is read again, from another topic."""
    node = root(when="input.x.y == 1")
    wrote = node_agent.decide(node, None, started(), MOMENT).sends[0].value
    letters = []
    for order in ((started(), wrote), (wrote, started())):
        row, sent = None, []
        for record in order:
            found = node_agent.decide(node, row, record, MOMENT)  # type: ignore[arg-type]
            row = found.row or row
            sent += [send for send in found.sends if send.topic == "wf.dead-letter"]
        letters.append(sent)
    assert letters[0] == letters[1]


def test_a_cancel_is_remembered_alike_whichever_topic_is_read_first() -> None:
    """A row must not depend on whether the request or the node's end was read first."""
    plan = workflow({"n": ()}).plan
    rows = []
    for order in ((cancel_requested(), succeeded()), (succeeded(), cancel_requested())):
        row = run_agent.decide(plan, None, started()).row
        for record in order:
            row = run_agent.decide(plan, row, record).row or row  # type: ignore[arg-type]
        rows.append(row)
    assert rows[0] == rows[1]


def test_a_source_s_end_counts_the_same_before_and_after_the_node_s_own() -> None:
    node = workflow().nodes["n"]
    for own in (succeeded(), failed(), cancelled()):
        one, two = None, None
        for record in (started(), succeeded("up"), own):
            one = node_agent.decide(node, one, record, MOMENT).row or one  # type: ignore[arg-type]
        for record in (own, succeeded("up"), started()):
            two = node_agent.decide(node, two, record, MOMENT).row or two  # type: ignore[arg-type]
        assert isinstance(one, NodeRow)
        assert isinstance(two, NodeRow)
        assert (one.status, one.output, one.gathered, one.finished_at) == (
            two.status,
            two.output,
            two.gathered,
            two.finished_at,
        )
