"""What differs between two results of a run, and what a shadow came to over all of its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.client.results import Result

Difference = dict[str, Any]
"""One place where two JSON values differ: its JSON path, and what stands there before and after (absent: no such key)."""

Line = dict[str, Any]
"""What `replay --shadow` prints of a run."""

NEVER_RAN = frozenset({"pending", "skipped", "cancelled"})
RATIOS = ("tokens", "cost_usd", "duration_ms")


def compared(before: Result, after: Result) -> Line:
    """Return a diff line: `changed` is about the status and the outputs, not about what they took."""
    differences = list(diff(_decided(before), _decided(after)))
    pairs = {key: {"before": of(before), "after": of(after)} for key, of in _SHOWN.items()}
    return {
        "run_id": after["run_id"],
        "changed": bool(differences),
        **pairs,
        "reused": [node for node, stands in after.get("nodes", {}).items() if stands["reused"]],
        "diff": differences,
    }


def _decided(result: Result) -> dict[str, Any]:
    return {"status": result.get("status"), "outputs": result.get("outputs")}


def _route(result: Result) -> list[str]:
    """Return the nodes that ran."""
    return [node for node, stands in result.get("nodes", {}).items() if stands["status"] not in NEVER_RAN]


_SHOWN: Mapping[str, Callable[[Result], Any]] = {
    "status": lambda result: result.get("status"),
    "outputs": lambda result: result.get("outputs"),
    "route": _route,
    "tokens": lambda result: result.get("usage", {}).get("total_tokens"),
    "cost_usd": lambda result: result.get("cost_usd"),
    "duration_ms": lambda result: result.get("duration_ms"),
}


def diff(before: Any, after: Any, path: str = "$") -> Iterator[Difference]:
    """Yield where two JSON values differ, in the order of their keys."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _beside(before, after, key, f"{path}{_step(key)}")
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            yield from _beside(dict(enumerate(before)), dict(enumerate(after)), index, f"{path}[{index}]")
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield {"path": path, "before": before, "after": after}


def _step(key: str) -> str:
    """Return a key as a JSON path has it (RFC 9535): in brackets where it is no plain name."""
    if key.replace("_", "a").isalnum() and not key[0].isdigit():
        return f".{key}"
    escaped = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"


def _beside(before: Mapping[Any, Any], after: Mapping[Any, Any], key: Any, path: str) -> Iterator[Difference]:
    if key in before and key in after:
        yield from diff(before[key], after[key], path)
    else:
        yield {"path": path} | ({"before": before[key]} if key in before else {"after": after[key]})


@dataclass(slots=True)
class Summary:
    """What a shadow came to, over its diff lines."""

    runs: int = 0
    changed: int = 0
    failed: int = 0
    reused: int = 0
    _totals: dict[str, tuple[float, float]] = field(default_factory=lambda: dict.fromkeys(RATIOS, (0, 0)))

    def take(self, line: Line) -> None:
        """Count a line."""
        self.runs += 1
        self.changed += line["changed"]
        self.failed += line["status"]["after"] != "success"
        self.reused += len(line["reused"])
        for key in RATIOS:
            before, after = line[key]["before"], line[key]["after"]
            if before is not None and after is not None:  # a price nobody knows, an input that was refused
                known = self._totals[key]
                self._totals[key] = known[0] + before, known[1] + after

    def told(self) -> dict[str, Any]:
        """Return the summary: `failed` runs are those of the shadow that were no success, changed or not."""
        return {
            "runs": self.runs,
            "changed": self.changed,
            "equal": self.runs - self.changed,
            "failed": self.failed,
            "reused": self.reused,
            **{key: _ratio(*self._totals[key]) for key in RATIOS},
        }


def _ratio(before: float, after: float) -> dict[str, float | None]:
    return {"before": before, "after": after, "ratio": round(after / before, 4) if before else None}
