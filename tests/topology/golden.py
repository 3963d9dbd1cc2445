"""Plans of known workflows, checked in: a renamed topic shows in a review. `python -m tests.topology.golden` writes them anew."""

from __future__ import annotations

import json
from pathlib import Path

from topology.compile import plan_as_json
from topology.describe import describe
from topology.load import load_workflow

ROOT = Path(__file__).parents[2]
PLANS = ROOT / "tests" / "golden" / "plans"
WORKFLOWS = {
    "branches": ROOT / "tests" / "topology" / "workflows" / "branches" / "workflow.yaml",
    "document-intake": ROOT / "workflows" / "document-intake" / "workflow.yaml",
}


def golden_files(name: str) -> dict[Path, str]:
    """Return what the files of a workflow should hold."""
    plan = load_workflow(WORKFLOWS[name]).require_plan()
    return {
        PLANS / f"{name}.json": json.dumps(plan_as_json(plan), indent=2, ensure_ascii=False) + "\n",
        PLANS / f"{name}.mmd": describe(plan, "mermaid"),
    }


if __name__ == "__main__":
    PLANS.mkdir(parents=True, exist_ok=True)
    for workflow in WORKFLOWS:
        for path, text in golden_files(workflow).items():
            path.write_text(text)
