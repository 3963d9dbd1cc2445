"""The versions of one workflow whose runs may be in flight: a run keeps the one it began with, a new epoch begins with the current one.

Versions have one structure (topology.versions), so it makes no difference to what a row gathers which of them reads a record; it
does to prompts, models, conditions, limits. A version that is recorded nowhere any more is stood in for by the current one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from streams.core.compiled import CompiledNode, CompiledWorkflow
from topology.plan import WorkflowPlan

Compile = Callable[[WorkflowPlan, "Versions"], CompiledWorkflow]


class Versions:
    """What is known of a workflow's versions, by plan hash; each is compiled when the first of its runs needs it."""

    def __init__(self, own: WorkflowPlan, compile_: Compile) -> None:
        self._compile = compile_
        self._plans = {own.plan_hash: own}
        self._compiled: dict[str, CompiledWorkflow] = {}
        self.current = self._of(own.plan_hash)

    @property
    def plans(self) -> Mapping[str, WorkflowPlan]:
        """The plans by hash."""
        return self._plans

    def learn(self, plans: Iterable[WorkflowPlan], current: str) -> None:
        """Take note of versions, and of which one new runs and epochs begin with; a hash keeps the plan it had."""
        for plan in plans:
            self._plans.setdefault(plan.plan_hash, plan)
        self.current = self._of(current)

    def of(self, plan_hash: str | None) -> CompiledWorkflow:
        """Return the version of that hash, the current one if there is none."""
        return self._of(plan_hash) if plan_hash in self._plans else self.current

    def node(self, plan_hash: str | None, node: str) -> CompiledNode:
        """Return a node as that version has it."""
        return self.of(plan_hash).nodes[node]

    def _of(self, plan_hash: str | None) -> CompiledWorkflow:
        assert plan_hash is not None  # noqa: S101 - callers looked
        found = self._compiled.get(plan_hash)
        if found is None:
            found = self._compiled[plan_hash] = self._compile(self._plans[plan_hash], self)
        return found
