"""Which span is which: ids derived from what records carry, so that any worker can name the parent of what it does."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.quick import quick
from schemas.records import Position
from schemas.trace import span_id_of


@quick
@dataclass(frozen=True, slots=True)
class Places:
    """The span ids of one run of one workflow."""

    workflow: str
    run_id: str

    def intake(self, at: Position) -> str:
        """The intake of a public record; where no producer began the trace, the run's own has the id of its `traceparent`."""
        return span_id_of(self.workflow, self.run_id, "intake", at.topic, at.partition, at.offset)

    def opening(self, epoch: int) -> str:
        """The redrive or replay that opened an epoch."""
        return span_id_of(self.workflow, self.run_id, "opening", epoch)

    def run(self, epoch: int) -> str:
        """The run in an epoch."""
        return span_id_of(self.workflow, self.run_id, "run", epoch)

    def result(self, epoch: int) -> str:
        """The sending of an epoch's result."""
        return span_id_of(self.workflow, self.run_id, "result", epoch)

    def node(self, node: str, epoch: int) -> str:
        """A node, or an item of one, in an epoch."""
        return span_id_of(self.workflow, self.run_id, "node", node, epoch)

    def attempt(self, node: str, epoch: int, seq: int, launch: int) -> str:
        """One attempt; what is launched again after a crash is another one."""
        return span_id_of(self.workflow, self.run_id, "attempt", node, epoch, seq, launch)

    def sent(self, kind: str, node: str, epoch: int, seq: int) -> str:
        """The sending of a request to a person or an app, or a person's decision."""
        return span_id_of(self.workflow, self.run_id, kind, node, epoch, seq)
