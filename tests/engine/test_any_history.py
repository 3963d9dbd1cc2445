"""Random workflows, inputs, repeats, cancels, waits and deaths: the end is the end of a driver that never dies and reads in order."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from streams.testing import TopologyTestDriver
from tests.engine.audit import audit
from tests.engine.scripts import (
    RoughDriver,
    Step,
    Subset,
    advance,
    cancel,
    end_of,
    nodes_of,
    redrive,
    repeated,
    start,
    steady,
)
from tests.strategies import Workflow, workflows

RUNS = st.sampled_from(["r1", "r2", "r3"])
CRASHES = st.none() | st.integers(1, 12)


class AnyHistory(RuleBasedStateMachine):
    """The same steps go to a rough driver that crashes and, at the end, to one that never does."""

    @initialize(workflow=workflows(), seed=st.integers(0, 2**32), batch=st.integers(1, 6), commit=st.integers(1, 6))
    def begin(self, workflow: Workflow, seed: int, batch: int, commit: int) -> None:
        self.workflow, self.rng = workflow, random.Random(seed)
        self.rough = RoughDriver(
            workflow.plan, nodes_of(workflow.plan, workflow.special), random.Random(seed), batch, commit
        )
        self.steps: list[Step] = []
        self.cancelled: set[str] = set()
        self.begun: set[str] = set()

    @rule(run=RUNS, n=st.integers(1, 2), crash=CRASHES)
    def an_input(self, run: str, n: int, crash: int | None) -> None:
        """New, a repeat, or a conflict."""
        self.begun.add(run)
        self._step(start(run, {"n": n}), crash)

    @rule(run=RUNS, crash=CRASHES)
    def a_cancel(self, run: str, crash: int | None) -> None:
        """Before the start, while a retry waits, or after the end."""
        self.cancelled.add(run)
        self._step(cancel(run), crash)

    @rule(run=RUNS, which=st.integers(0, 9), crash=CRASHES)
    def a_redrive(self, run: str, which: int, crash: int | None) -> None:
        """Of a node that failed, of one that did not, of a run that is not at its end yet.

        Not of one that is still to come: intake may repeat that command after the start, and then it is no longer refused.
        """
        if run not in self.begun:
            return
        nodes = self.workflow.plan.nodes
        self._step(redrive(nodes[which % len(nodes)].id, run), crash)

    @rule(minutes=st.sampled_from([0.01, 0.02, 1]), crash=CRASHES)
    def time(self, minutes: float, crash: int | None) -> None:
        """Short enough to stop between two retries."""
        self._step(advance(minutes), crash)

    @rule()
    def a_death_while_idle(self) -> None:
        """Between two records."""
        self.rough.crash()

    def _step(self, step: Step, crash: int | None) -> None:
        step.write(self.rough)
        self.rough.crashes = [] if crash is None else [Subset(crash, self.rng)]
        step.run(self.rough)
        self.rough.crashes = []
        self.steps.append(step)

    def teardown(self) -> None:
        if not hasattr(self, "rough"):
            return
        self._step(advance(1), None)
        with (
            self.rough,
            TopologyTestDriver(self.workflow.plan, nodes_of(self.workflow.plan, self.workflow.special)) as calm,
        ):
            for step in self.steps:
                step.write(calm)
                step.run(calm)
            assert repeated(self.rough) <= self.rough._lives - 1
            assert repeated(calm) == 0
            for driver in (calm, self.rough):
                audit(driver)
                assert driver.table("timers") == {}
            rough, expected = end_of(self.rough), end_of(calm)
            assert self._kept(steady(rough.rows)) == self._kept(steady(expected.rows))
            assert self._kept({"": rough.output}) == self._kept({"": expected.output})
            assert rough.output.keys() == expected.output.keys()
            assert self._kept({"": rough.dead}) == self._kept({"": expected.dead})

    def _kept(self, tables: Any) -> Any:
        """Leave out what a cancel races with: which of a run's nodes still ended by themselves may differ."""
        return {
            table: {key: row for key, row in rows.items() if key.split("/")[0] not in self.cancelled}
            for table, rows in tables.items()
        }


AnyHistory.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=8,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestAnyHistory = AnyHistory.TestCase
