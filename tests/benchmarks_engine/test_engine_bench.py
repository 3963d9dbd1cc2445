"""The engine's benchmark in small: its workers work, its counts agree, its line has its fields. Nothing here is a timing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from benchmarks.engine import decisions, scenarios
from benchmarks.engine.diamond import INPUT_BYTES, chains, handler, input_of, workflow
from benchmarks.engine.soak import slope
from benchmarks.stage import Stage
from penstock import devkafka
from streams.core.compiled import compile_workflow
from tests.kafka_tools import unique

RUNS = 40


@pytest.fixture
def stage(broker: devkafka.Broker, tmp_path: Path) -> Stage:
    made = Stage(tmp_path, "", {}, {"PENSTOCK_HOME": str(broker.home)})
    made.bootstrap, made.broker_pid = broker.bootstrap, broker.pid
    return made


@pytest.mark.kafka
async def test_saturated(stage: Stage) -> None:
    found = dict(await scenarios.saturated(stage, unique("bench"), 0.0, RUNS, 10))
    assert found["failed"] == 0
    assert found["node_executions_per_s"] == pytest.approx(4 * float(str(found["runs_per_s"])), abs=4)
    # Input, Started, Finished, result, an end per node, and a row at least per node and one of the run.
    assert float(str(found["records_per_run"])) >= 8 + 5
    assert float(str(found["bytes_per_run"])) > INPUT_BYTES
    json.dumps(found)


@pytest.mark.kafka
async def test_the_floor_moves_what_it_is_told(stage: Stage) -> None:
    found = await asyncio.to_thread(scenarios.floor, stage, 20, 7, 23.0, 100)
    assert set(found) == {"records_in", "records_out", "bytes", "runs_per_s", "cpu_ms_per_run"}


async def test_every_run_that_is_counted_has_a_result() -> None:
    plan, nodes = decisions.diamond()
    assert await decisions.round_of(compile_workflow(plan), nodes) == decisions.RUNS


def test_workflows_are_those_they_say() -> None:
    assert len(YAML(typ="safe").load(workflow("d"))["workflow"]["nodes"]) == 4
    wide = YAML(typ="safe").load(chains("d", 8))["workflow"]["nodes"]
    assert [node["dependencies"] for node in wide] == [[], ["n0"], ["n1"], ["n2"], [], ["n4"], ["n5"], ["n6"]]


def test_inputs_and_outputs_have_the_size_asked_for() -> None:
    scope: dict[str, object] = {}
    exec(handler(0.0, 500), scope)
    returned = asyncio.run(scope["handle"]({}, None))  # type: ignore[operator]
    assert len(json.dumps(returned, separators=(",", ":"))) == 500
    assert len(input_of(8_000)) == 8_000


def test_percentiles() -> None:
    assert scenarios.percentiles([0.001 * n for n in range(1, 101)]) == {
        "runs": 100,
        "p50_ms": 51.0,
        "p99_ms": 100.0,
        "max_ms": 100.0,
    }


def test_slope() -> None:
    assert slope([{"minutes": 1.0, "rss_mb": 10.0}, {"minutes": 3.0, "rss_mb": 14.0}], "rss_mb") == pytest.approx(2.0)
    assert slope([{"minutes": 1.0, "rss_mb": 10.0}], "rss_mb") == 0.0
