"""What a batch changed: told to those who look, so that they ask again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

What = Literal["runs", "reviews", "dead_letters", "replays", "workflows"]


@dataclass(slots=True)
class Changes:
    """Runs (workflow, run id) and kinds of things that are not what they were."""

    runs: set[tuple[str, str]] = field(default_factory=set)
    workflows: set[str] = field(default_factory=set)
    what: set[What] = field(default_factory=set)
    version: int = 0

    def run(self, workflow: str, run_id: str) -> None:
        """Note a run."""
        self.runs.add((workflow, run_id))
        self.of(workflow, "runs")

    def of(self, workflow: str, what: What) -> None:
        """Note a kind of thing of a workflow."""
        self.workflows.add(workflow)
        self.what.add(what)

    def add(self, other: Changes) -> None:
        """Note what another batch changed as well."""
        self.runs |= other.runs
        self.workflows |= other.workflows
        self.what |= other.what
        self.version = max(self.version, other.version)

    def __bool__(self) -> bool:
        return bool(self.what)
