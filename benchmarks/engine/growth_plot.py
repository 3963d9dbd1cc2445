"""Draw what `python -m benchmarks.engine.growth` printed: `python -m benchmarks.engine.growth_plot POINTS.jsonl PICTURE.svg`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SERIES = (
    ("finished_runs", "finished runs", "worker_cpu_ms_per_run", "ms of CPU per run"),
    ("nodes", "nodes of the workflow", "cpu_ms_per_node", "ms of CPU per node"),
    ("input_bytes", "bytes of the input", "worker_cpu_ms_per_run", "ms of CPU per run"),
    ("partitions", "partitions", "worker_cpu_ms_per_run", "ms of CPU per run"),
)


def draw(points: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the picture: a panel per series, each from zero."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "penstock"  # the same points give the same file
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text, and small
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(SERIES), figsize=(16, 3.6))
    for axis, (name, label, figure_name, unit) in zip(axes, SERIES, strict=True):
        series = [(point[name], point[figure_name]) for point in points if name in point]
        axis.plot([at for at, _ in series], [cost for _, cost in series], marker="o")
        axis.set(xscale="log", xlabel=label, ylabel=unit, ylim=(0, max(cost for _, cost in series) * 1.1))
        axis.set_xticks([at for at, _ in series], [f"{at:,}" for at, _ in series], minor=False)
        axis.set_xticks([], minor=True)
        axis.grid(visible=True, alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    draw([json.loads(line) for line in lines], Path(sys.argv[2]))
