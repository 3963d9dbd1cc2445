"""The Grafana dashboard asks only for metrics and labels that a worker has, and for all of Penstock's."""

import json
import re
from pathlib import Path
from typing import Any

from streams.telemetry.metrics import Metrics, Standing

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana-dashboard.json"
METRIC = re.compile(r"\b(?:penstock|gen_ai_client)_\w+")
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def queries() -> list[str]:
    board = json.loads(DASHBOARD.read_text())
    variables = [v["query"]["query"] for v in board["templating"]["list"] if v["type"] == "query"]
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]] + variables


def known() -> dict[str, set[str]]:
    """Return the labels of every series a worker can have."""
    metrics = Metrics()
    metrics.standing["w"] = Standing({("w.input", 0): 1}, 1, 1.0)
    metrics.ends["w", "n"] = (1, 1)
    found: dict[str, set[str]] = {}
    for collector in list(metrics.registry._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))  # of those whose series come with use
        for family in collector.collect():
            own = labels or {name for sample in family.samples for name in sample.labels}
            for suffix in SUFFIXES[family.type]:
                found[family.name + suffix] = own | ({"le"} if suffix == "_bucket" else set())
    return found


def labels_in(query: str) -> set[str]:
    grouped = {name.strip() for names in re.findall(r"by \(([^)]*)\)", query) for name in names.split(",")}
    return grouped | set(re.findall(r"[{,]\s*(\w+)\s*=", query))


def test_every_query_names_what_is_there() -> None:
    there = known()
    for query in queries():
        named = [name for name in METRIC.findall(query) if not name.startswith("gen_ai_client_request")]
        assert named, query
        for name in named:
            assert name in there, query
            assert labels_in(query) <= there[name], query


def test_every_metric_of_ours_is_shown() -> None:
    shown = {name for query in queries() for name in METRIC.findall(query)}
    ours = {name.removesuffix("_bucket") for name in known() if not name.endswith(("_sum", "_count"))}
    assert ours == {name.removesuffix("_bucket") for name in shown}


def test_names_are_the_fixed_ones() -> None:
    fixed: dict[str, Any] = {
        "penstock_runs_total": {"workflow", "status"},
        "penstock_node_attempts_total": {"workflow", "node", "outcome"},
        "penstock_node_duration_seconds_bucket": {"workflow", "node", "kind", "le"},
        "penstock_tokens_total": {"workflow", "node", "model", "direction"},
        "penstock_cost_usd_total": {"workflow", "node", "model"},
        "penstock_breaker_state": {"provider", "model"},
        "penstock_consumer_lag": {"topic", "partition"},
        "penstock_backlog_cost_usd": {"workflow"},
    }
    assert {name: known()[name] for name in fixed} == fixed
