"""The table as a picture: success, cost and mean latency of each pattern, and the distribution of latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BARS = (
    ("success_pct", "success, %"),
    ("cost_per_success_usd", "dollars per successful task"),
    ("mean_ms", "mean latency, ms"),
)


def draw(rows: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(BARS) + 1, figsize=(18, 4.5))
    levels = list(dict.fromkeys(row["level"] for row in rows))
    patterns = list(dict.fromkeys(row["pattern"] for row in rows))
    for axis, (name, title) in zip(axes, BARS, strict=False):
        for index, level in enumerate(levels):
            values = {row["pattern"]: row[name] or 0 for row in rows if row["level"] == level}
            places = [place + index * 0.8 / len(levels) for place in range(len(patterns))]
            label = f"fault level {level:g}"
            axis.bar(places, [values.get(p, 0) for p in patterns], 0.8 / len(levels), label=label, align="edge")
        axis.set_xticks([place + 0.4 for place in range(len(patterns))], patterns, fontsize=8)
        axis.set_title(title)
    axes[0].legend(fontsize=8)
    for pattern in patterns:
        ordered = sorted(r["latency_ms"] for r in records if r["pattern"] == pattern and r["level"] == levels[0])
        shares = [100 * (n + 1) / len(ordered) for n in range(len(ordered))]
        axes[-1].plot([latency / 1000 for latency in ordered], shares, label=pattern)
    axes[-1].set(title=f"tasks ended within, % (level {levels[0]:g})", xlabel="s", xlim=(0, 20))
    axes[-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
