"""Every violation's code and what it means. Codes are stable: scripts and dashboards count them."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    # (a) every input is exactly once in {result, dead letter, waiting}
    "a.input-lost": "an input was consumed, and neither a run nor a dead letter came of it",
    "a.input-twice": "an input both started a run and was refused, or started two runs",
    "a.input-changed": "a run or dead letter does not carry its input's key and value",
    "a.input-missing": "a run or dead letter names a place of the input topic where there is no record",
    "a.run-id": "a run is not named as its input says",
    "a.conflict-lost": "a second, different input of a run id is not in the dead letters",
    "a.conflict-unfounded": "a dead letter says run_id_conflict where there was none",
    "a.run-lost": "a run has no result, and nothing that it waits for",
    "a.without-start": "a result, or a record of an attempt, of a run that never started",
    "a.result-differs": "two results of one run and epoch that are not the same",
    "a.command-lost": "a control record was consumed, and neither a command nor a dead letter came of it",
    # (b) committed offsets
    "b.missing": "the group has no committed offset for a partition that holds records",
    "b.behind": "the group's committed offset is behind the end",
    "b.beyond": "the group's committed offset is beyond the end",
    # (c) every row equals the fold of the journals
    "c.zombie-row": "the last row of a key was written by a former owner: readers of the compacted topic believe it",
    "c.undecodable": "a changelog record that is no row",
    "c.node-row": "a node's row differs from the fold of its journal",
    "c.run-row": "a run's row differs from the fold of the journals",
    "c.row-missing": "a row that must be there is not",
    "c.row-unfounded": "a row of a run that no journal knows, or of a retired one",
    "c.result": "a result differs from the fold of the journals",
    "c.timer-left": "a timer for an attempt that does not wait",
    "c.timer-missing": "a node waits for a retry that nothing will wake",
    # (d) executions
    "d.seq-gap": "a node's attempts skip a sequence number",
    "d.seq-reused": "two attempts have one sequence number",
    "d.attempt-gap": "a node's attempts do not count on by one",
    "d.launch-early": "an attempt was made before the wait of the one before it was over",
    "d.launch-after-end": "an attempt was launched after the node had ended",
    "d.end-unfounded": "a node ended as its attempts before do not allow",
    "d.due-unfounded": "a wait ended that never began",
    "d.repeated": "more executions were repeated than --max-repeated allows",
    # (e) spent and reserved
    "e.over-budget": "what a run has spent and reserved is more than its limit",
    "e.spent-differs": "what a run has spent is not the sum of its journals",
    "e.reserved-left": "a reservation of a call that has ended",
    # (f) one run, one partition
    "f.partition": "a record is not in its run's partition",
    "f.count": "a co-partitioned topic has another number of partitions",
    # (g) the records themselves
    "g.undecodable": "a record that does not decode",
    "g.key": "a record's key is not its run id",
    "g.misplaced": "a record that does not belong in its topic",
    "g.ce-id": "a record's ce_id is not the deterministic one",
    "g.ce-type": "a record's ce_type is not its type",
    "g.epoch": "a record of an epoch that was never opened",
    # (h) dead letters of nodes
    "h.missing": "a node failed for good and has no dead letter",
    "h.unfounded": "a dead letter without a cause",
    "h.differs": "a dead letter does not say what its cause says",
    # (i) order
    "i.finished-early": "a run was finished before all its nodes had ended",
    "i.opened-early": "an epoch was opened before the one before it was finished",
    "i.finished-differs": "a run's Finished does not say what its nodes' ends, or another Finished, say",
    "i.finished-missing": "a run has a result and no Finished",
    "i.result-missing": "a run was finished and has no result",
}
