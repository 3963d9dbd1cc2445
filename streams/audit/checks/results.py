"""(c) and (i): a result, and `Finished`, say what the winners in the journals say, and come only when every node has ended."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from schemas.codec import loads
from schemas.records import Finished, NodeStatus, RunStatus, Spent
from streams.audit.checks.compare import differing, same_cost
from streams.audit.evidence import Evidence
from streams.audit.runs import Result, RunStory
from streams.audit.story import Standing

Difference = tuple[str, Any, Any]


def check_results(evidence: Evidence) -> None:
    """Check every run's results and `Finished` records."""
    sinks = _sinks(evidence)
    for run in evidence.judged_runs():
        for result in run.results if run.start is not None else ():
            _check_result(evidence, run, result, sinks)
        _check_finished(evidence, run)


def status_of(ends: set[NodeStatus]) -> RunStatus:
    """Return how a run ends whose nodes end so (DESIGN.md 6a)."""
    return "cancelled" if "cancelled" in ends else "failed" if "failed" in ends else "success"


def _sinks(evidence: Evidence) -> set[str]:
    """Return the sinks: a workflow's edges are fixed, so what one result shows, every result shows if it is there."""
    return {node for run in evidence.judged_runs() for result in run.results for node in result.outputs}


def _standings(evidence: Evidence, run: RunStory, epoch: int) -> dict[str, Standing]:
    return {node: run.node(node, epoch).standing for node in evidence.layout.nodes}


# ---- a result -------------------------------------------------------------------------------------------------------


def _check_result(evidence: Evidence, run: RunStory, result: Result, sinks: set[str]) -> None:
    if not isinstance(result.epoch, int):
        evidence.findings.add("c.result", result.at, f"run {run.run_id!r}: epoch is {result.epoch!r}")
        return
    standings, says = _standings(evidence, run, result.epoch), loads(zlib.decompress(result.rest))
    whole, nodes = _whole(evidence, run, says, standings), _nodes(says.get("nodes"), standings)
    wrong = differing([*whole, *_outputs(result, standings, sinks), *nodes])
    if wrong:
        evidence.findings.add("c.result", result.at, f"run {run.run_id!r}: {wrong}")


def _whole(
    evidence: Evidence, run: RunStory, says: dict[str, Any], standings: dict[str, Standing]
) -> Iterator[Difference]:
    ends = {standing.status for standing in standings.values()}
    spent = sum((standing.spent for standing in standings.values()), Spent())
    yield "workflow_id", says.get("workflow_id"), evidence.layout.workflow
    yield "status", says.get("status"), "no result yet" if "pending" in ends else status_of(ends)
    yield "usage", says.get("usage"), _usage(spent)
    if not same_cost(says.get("cost_usd"), spent.cost_usd):
        yield "cost_usd", says.get("cost_usd"), spent.cost_usd
    if run.start is not None:
        yield "workflow_version", says.get("workflow_version"), run.start.version
        yield "started_at", _ms(says.get("started_at")), run.start.started_at
    if run.finishes:
        finished = run.finishes[0][0]
        yield "finished_at", _ms(says.get("finished_at")), finished.finished_at
        yield "duration_ms", says.get("duration_ms"), max(0, _ms_between(run, finished))


def _outputs(result: Result, standings: dict[str, Standing], sinks: set[str]) -> Iterator[Difference]:
    for node in sorted(sinks | result.outputs.keys()):
        wanted = standings[node].meaning if node in standings else None
        yield f"outputs.{node}", result.outputs.get(node), wanted


def _nodes(says: Any, standings: dict[str, Standing]) -> Iterator[Difference]:
    if not isinstance(says, dict):
        yield "nodes", says, "an object"
        return
    yield "nodes", sorted(says), sorted(standings)
    for node, now in standings.items():
        for name, said, wanted in _node(_object(says.get(node)), now):
            yield f"{node}.{name}", said, wanted


def _node(says: dict[str, Any], now: Standing) -> Iterator[Difference]:
    error = _object(says.get("error"))
    yield "status", says.get("status"), now.status
    yield "attempts", says.get("attempts"), now.attempts
    yield (
        "error",
        (error.get("kind"), error.get("message")),
        (now.error.kind, now.error.message) if now.error else (None, None),
    )
    yield "started_at", _ms(says.get("started_at")), now.started_at
    yield "finished_at", _ms(says.get("finished_at")), now.finished_at
    yield "usage", says.get("usage"), _usage(now.spent)
    yield "model", says.get("model"), now.model
    if not same_cost(says.get("cost_usd"), now.spent.cost_usd):
        yield "cost_usd", says.get("cost_usd"), now.spent.cost_usd


def _object(said: object) -> dict[str, Any]:
    return said if isinstance(said, dict) else {}


def _usage(spent: Spent) -> dict[str, int]:
    total = spent.prompt_tokens + spent.completion_tokens
    return {"prompt_tokens": spent.prompt_tokens, "completion_tokens": spent.completion_tokens, "total_tokens": total}


def _ms_between(run: RunStory, finished: Finished) -> int:
    return finished.finished_at - (run.start.started_at if run.start else 0)


def _ms(said: object) -> object:
    """Return a time in ISO 8601 as epoch ms; anything else as it is."""
    try:
        return round(datetime.fromisoformat(str(said)).timestamp() * 1000)
    except ValueError:
        return said


# ---- Finished -------------------------------------------------------------------------------------------------------


def _check_finished(evidence: Evidence, run: RunStory) -> None:
    for finished, at in run.finishes:
        if not evidence.consumed(at):
            continue  # what it follows from may have come after this audit looked
        ends = {standing.status for standing in _standings(evidence, run, finished.epoch).values()}
        if "pending" in ends:
            missing = [node for node in evidence.layout.nodes if run.node(node, finished.epoch).winner is None]
            evidence.findings.add("i.finished-early", at, f"run {run.run_id!r}: {', '.join(missing)} had not ended")
        elif finished.status != status_of(ends) or finished != run.finishes[0][0]:
            message = (
                f"run {run.run_id!r}: {finished.status} at {finished.finished_at}; the nodes say {status_of(ends)}"
            )
            evidence.findings.add("i.finished-differs", at, message)
    _check_pair(evidence, run)


def _check_pair(evidence: Evidence, run: RunStory) -> None:
    """Check that `Finished` and the result go together."""
    if run.unsettled or run.start is None:
        return
    if run.finishes and not run.results and not evidence.cut_short("output"):
        evidence.findings.add(
            "i.result-missing", run.finishes[0][1], f"run {run.run_id!r} is finished without a result"
        )
    if run.results and not run.finishes:
        evidence.findings.add("i.finished-missing", run.results[0].at, f"run {run.run_id!r} has no Finished")
