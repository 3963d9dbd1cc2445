"""What a shadow prints: a line per run, a summary, and the page to look through."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.cli import output
from penstock.cli.errors import BadUsage, say
from penstock.cli.progress import Advance

if TYPE_CHECKING:
    from penstock.cli.shadow import Options
    from penstock.client.results import Result
    from penstock.report import Page
    from topology.plan import WorkflowPlan

SHOWN = 60
"""Characters of a value in a line for people."""


class Told:
    """Takes what production and the shadow have of each run; `last` is when it did so, by the monotonic clock."""

    def __init__(self, as_json: bool, advance: Advance, page: Page | None) -> None:
        from penstock.client.shadow_diff import Summary

        self._as_json = as_json
        self._advance = advance
        self._page = page
        self._summary = Summary()
        self.last = time.monotonic()

    def __call__(self, before: Result, after: Result) -> None:
        """Print the line of a run."""
        from penstock.client.shadow_diff import compared

        self.last = time.monotonic()
        line = compared(before, after)
        self._summary.take(line)
        if self._as_json:
            output.line(line)
        else:
            output.text(for_people(line))
        if self._page is not None:
            self._page.add(line)
        self._advance(self._summary.runs)

    def end(self) -> None:
        """Print the summary; the page is whole now."""
        summary = self._summary.told()
        if self._page is not None:
            self._page.end(summary)
        if self._as_json:
            output.line({"summary": summary})
        else:
            _print(summary)


@contextmanager
def told(workflow_id: str, plan: WorkflowPlan, options: Options, as_json: bool, advance: Advance) -> Iterator[Told]:
    """Yield what takes results; without an `end` the report that is begun is removed."""
    page = None if options.report is None else _page(options.report, workflow_id, plan, options)
    try:
        yield Told(as_json, advance, page)
    finally:
        if page is not None:
            page.close()
    if page is not None:
        say(f"penstock: the differences are in {options.report}")


def _page(file: Path, workflow_id: str, plan: WorkflowPlan, options: Options) -> Page:
    from penstock.report import Page

    about = {
        "workflow": workflow_id,
        "version": plan.version,
        "file": str(options.file),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        return Page(file, about)
    except OSError as error:
        raise BadUsage(f"--report: {str(file)!r} cannot be written: {error.strerror}") from None


def for_people(line: dict[str, Any]) -> str:
    """Return a diff line as a person reads it."""
    status = line["status"]["after"]
    stands = "changed" if line["changed"] else "equal"
    took = [f"{key} {_figure(line[key]['before'])} -> {_figure(line[key]['after'])}" for key in ("tokens", "cost_usd")]
    took.append(f"ms {_figure(line['duration_ms']['before'])} -> {_figure(line['duration_ms']['after'])}")
    parts = [line["run_id"], stands if status == "success" else f"{stands}, {status}", ", ".join(took)]
    if line["route"]["before"] != line["route"]["after"]:
        parts.append(f"route {' '.join(line['route']['before'])} -> {' '.join(line['route']['after'])}")
    places = [f"{each['path']}: {_side(each, 'before')} -> {_side(each, 'after')}" for each in line["diff"][:3]]
    more = len(line["diff"]) - len(places)
    return "  ".join(parts + places + ([f"and {more} more"] if more > 0 else []))


def _figure(value: float | None) -> str:
    return output.cost(value) if isinstance(value, float) or value is None else str(value)


def _side(difference: dict[str, Any], name: str) -> str:
    if name not in difference:
        return "(absent)"
    shown = " ".join(output.compact(difference[name]).split())
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."


def _print(summary: dict[str, Any]) -> None:
    from penstock.client.shadow_diff import RATIOS

    output.text("")
    counts = ("runs", "changed", "equal", "failed", "reused")
    output.table(counts, [[summary[name] for name in counts]])
    rows = [
        [key, *(_figure(summary[key][side]) for side in ("before", "after")), summary[key]["ratio"]] for key in RATIOS
    ]
    output.text("")
    output.table(("", "before", "after", "ratio"), rows)
