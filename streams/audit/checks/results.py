"""(c) and (i): a result, and `Finished`, say what the winners in the journals say, and come only when every node has ended."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from schemas.codec import loads
from schemas.records import RunStatus, Spent
from streams.audit.checks.compare import differing, same_cost
from streams.audit.evidence import Evidence
from streams.audit.runs import Result, RunStory
from streams.audit.story import Standing, stops

Difference = tuple[str, Any, Any]


def check_results(evidence: Evidence) -> None:
    """Check every run's results and `Finished` records."""
    sinks = _sinks(evidence)
    for run in evidence.judged_runs():
        for result in run.results if run.start is not None else ():
            _check_result(evidence, run, result, sinks)
        _check_finished(evidence, run)


def status_of(standings: Iterable[Standing]) -> RunStatus:
    """Return how a run ends whose nodes end so (DESIGN.md 6a)."""
    ends = list(standings)
    if any(now.status == "cancelled" for now in ends):
        return "cancelled"
    failed = [now for now in ends if now.status == "failed"]
    if any(not stops(now.error) for now in failed):
        return "failed"
    return "stopped" if failed else "success"


def _sinks(evidence: Evidence) -> set[str]:
    """Return the sinks: a workflow's edges are fixed, so what one result shows, every result shows if it is there."""
    return {node for run in evidence.judged_runs() for result in run.results for node in result.outputs}


def _standings(evidence: Evidence, run: RunStory, epoch: int) -> dict[str, Standing]:
    return {node: run.standing(node, epoch) for node in evidence.foreground()}


# ---- a result -------------------------------------------------------------------------------------------------------


def _check_result(evidence: Evidence, run: RunStory, result: Result, sinks: set[str]) -> None:
    if not isinstance(result.epoch, int):
        evidence.findings.add("c.result", result.at, f"run {run.run_id!r}: epoch is {result.epoch!r}")
        return
    standings, says = _standings(evidence, run, result.epoch), loads(zlib.decompress(result.rest))
    reused = {
        node: standing.reused or run.epoch_of(node, result.epoch) < result.epoch for node, standing in standings.items()
    }
    whole = _whole(evidence, run, says, standings, result.epoch)
    nodes = _nodes(says.get("nodes"), standings, reused)
    wrong = differing([*whole, *_outputs(result, standings, sinks), *nodes])
    if wrong:
        evidence.findings.add("c.result", result.at, f"run {run.run_id!r}: {wrong}")


def _whole(
    evidence: Evidence, run: RunStory, says: dict[str, Any], standings: dict[str, Standing], epoch: int
) -> Iterator[Difference]:
    ends = {standing.status for standing in standings.values()}
    spent = sum((standing.spent for standing in standings.values()), Spent())
    yield "workflow_id", says.get("workflow_id"), evidence.layout.workflow
    yield "status", says.get("status"), "no result yet" if "pending" in ends else status_of(standings.values())
    yield "usage", says.get("usage"), _usage(spent)
    if not same_cost(says.get("cost_usd"), spent.cost_usd):
        yield "cost_usd", says.get("cost_usd"), spent.cost_usd
    opened = next((record for record, _ in run.opened if record.epoch == epoch), None)
    if run.start is None:
        return
    began = opened.opened_at if opened else run.start.started_at
    yield "workflow_version", says.get("workflow_version"), opened.workflow_version if opened else run.start.version
    yield "started_at", _ms(says.get("started_at")), began
    finish = run.finish(epoch)
    if finish is not None:
        yield "finished_at", _ms(says.get("finished_at")), finish[0].finished_at
        yield "duration_ms", says.get("duration_ms"), max(0, finish[0].finished_at - began)


def _outputs(result: Result, standings: dict[str, Standing], sinks: set[str]) -> Iterator[Difference]:
    for node in sorted(sinks | result.outputs.keys()):
        wanted = standings[node].meaning if node in standings else None
        yield f"outputs.{node}", result.outputs.get(node), wanted


def _nodes(says: Any, standings: dict[str, Standing], reused: dict[str, bool]) -> Iterator[Difference]:
    if not isinstance(says, dict):
        yield "nodes", says, "an object"
        return
    yield "nodes", sorted(says), sorted(standings)
    for node, now in standings.items():
        for name, said, wanted in _node(_object(says.get(node)), now):
            yield f"{node}.{name}", said, wanted
        yield f"{node}.reused", _object(says.get(node)).get("reused"), reused[node]


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
        standings = _standings(evidence, run, finished.epoch).values()
        first = run.finish(finished.epoch)
        if any(now.status == "pending" for now in standings):
            missing = [node for node in evidence.foreground() if run.node(node, finished.epoch).winner is None]
            evidence.findings.add("i.finished-early", at, f"run {run.run_id!r}: {', '.join(missing)} had not ended")
        elif finished.status != status_of(standings) or (first and finished != first[0]):
            said = f"{finished.status} at {finished.finished_at}"
            message = f"run {run.run_id!r}: {said}; the nodes say {status_of(standings)}"
            evidence.findings.add("i.finished-differs", at, message)
    _check_pair(evidence, run)


def _check_pair(evidence: Evidence, run: RunStory) -> None:
    """Check that `Finished` and the result go together."""
    if run.unsettled or run.start is None:
        return
    shown = {result.epoch for result in run.results}
    for finished, at in run.finishes:
        if finished.epoch not in shown and not evidence.cut_short("output"):
            evidence.findings.add("i.result-missing", at, f"run {run.run_id!r} is finished without a result")
    for result in run.results:
        if isinstance(result.epoch, int) and run.finish(result.epoch) is None:
            evidence.findings.add("i.finished-missing", result.at, f"run {run.run_id!r} has no Finished")
