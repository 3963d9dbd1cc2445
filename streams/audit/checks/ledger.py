"""(e): the ledger says what the journals say: spent is their sum, and nothing is reserved but for calls nobody has heard of yet."""

from __future__ import annotations

from schemas.records import LedgerRow, Spent
from streams.audit.checks.compare import same_cost
from streams.audit.checks.limits import DAY
from streams.audit.evidence import Evidence
from streams.audit.runs import RunStory
from streams.audit.tables import Held
from topology.naming import LEDGER_TABLE, changelog_topic


def check_ledger(evidence: Evidence) -> None:
    """Check the row of every run whose records were all consumed."""
    rows = evidence.table(changelog_topic(evidence.layout.workflow, LEDGER_TABLE))
    for key, held in rows.items():
        if not key.startswith(DAY) and key not in evidence.runs:
            evidence.findings.add("c.row-unfounded", held.at, f"no journal knows a run {key!r}")
    for run in evidence.settled_runs():
        held = rows.get(run.run_id)  # type: ignore[assignment]
        if held is not None and isinstance(held.row, LedgerRow):
            _check_run(evidence, run, held, held.row)


def _check_run(evidence: Evidence, run: RunStory, held: Held, row: LedgerRow) -> None:
    charges = {
        f"{node}/{epoch}/{seq}/{launch}": spent
        for (node, epoch), story in run.nodes.items()
        for (seq, launch), spent in story.charges.items()
    }
    spent = sum(charges.values(), Spent())
    tokens = spent.prompt_tokens + spent.completion_tokens
    if row.spent_tokens != tokens:
        message = f"run {run.run_id!r}: {row.spent_tokens} tokens are spent, the journals say {tokens}"
        evidence.findings.add("e.spent-differs", held.at, message)
    elif (
        spent.cost_usd is not None
        and not same_cost(row.spent_cost_usd, spent.cost_usd)
        and row.max_cost_usd is not None
    ):
        message = f"run {run.run_id!r}: {row.spent_cost_usd} dollars are spent, the journals say {spent.cost_usd}"
        evidence.findings.add("e.spent-differs", held.at, message)
    for key in sorted(row.reserved.keys() & charges.keys()):
        evidence.findings.add("e.reserved-left", held.at, f"run {run.run_id!r}: {key} has ended, and is still reserved")
    over = run.finish(run.epoch) is not None and row.reserved.keys() - charges.keys()
    for key in sorted(over or ()):
        evidence.findings.add("e.reserved-left", held.at, f"run {run.run_id!r} has ended, and {key} is still reserved")
