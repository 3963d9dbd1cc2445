"""`penstock run` on a broker: success, a node that fails, an input that is refused, a run that takes too long."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.kafka

RESULT_KEYS = {
    "run_id",
    "workflow_id",
    "workflow_version",
    "epoch",
    "status",
    "outputs",
    "usage",
    "cost_usd",
    "started_at",
    "finished_at",
    "duration_ms",
    "nodes",
}


def test_success(cli: Cli, workflow: tuple[str, Path]) -> None:
    workflow_id, file = workflow
    answer = cli("run", file, "--input", '{"n": 20}', "--json")
    assert answer.code == 0, answer.err
    result = answer.object
    assert set(result) == RESULT_KEYS
    assert (result["workflow_id"], result["status"], result["outputs"]) == (
        workflow_id,
        "success",
        {"twice_it": {"n": 42}},
    )
    assert [(n["status"], n["attempts"]) for n in result["nodes"].values()] == [("success", 1), ("success", 1)]
    assert "ERROR" not in answer.err
    consumed = cli("consume", workflow_id, "--run-id", result["run_id"], "--json", "--timeout", "20")
    assert consumed.object == result


def test_a_table_for_people(cli: Cli, workflow: tuple[str, Path]) -> None:
    answer = cli("run", workflow[1], "--input", '{"n": 20}')
    assert answer.code == 0
    for shown in ("run_id", "success", "add success", "twice_it success", '{"n":42}'):
        assert shown in answer.out
    assert "1 of 1 runs ended" in answer.err


def test_one_run_of_several_fails_and_one_input_is_refused(cli: Cli, workflow: tuple[str, Path]) -> None:
    inputs = '{"n": 1}\n\n{"n": -5}\n{"m": 1}\n{"n": 2}\n'
    answer = cli("run", workflow[1], "--input-file", "-", "--json", stdin=inputs)
    assert answer.code == 1
    by_status: dict[str, list[dict[str, object]]] = {}
    for result in answer.json:
        by_status.setdefault(result["status"], []).append(result)
    assert {status: len(results) for status, results in by_status.items()} == {
        "success": 2,
        "failed": 1,
        "dead_letter": 1,
    }
    (refused,) = by_status["dead_letter"]
    assert refused["error"]["kind"] == "input_schema"  # type: ignore[index]
    (failed,) = by_status["failed"]
    node = failed["nodes"]["twice_it"]  # type: ignore[index]
    assert (node["status"], node["attempts"], node["error"]["kind"]) == ("failed", 2, "handler")
    assert "negative" in node["error"]["message"]


def test_refused_and_failed_for_people(cli: Cli, workflow: tuple[str, Path]) -> None:
    answer = cli("run", workflow[1], "--input-file", "-", stdin='{"n": -5}\n[1]\n')
    assert answer.code == 1
    assert "input: input_schema: " in answer.out
    assert "twice_it: handler: " in answer.out
    assert "twice_it failed, 2 attempts" in answer.out


def test_what_takes_too_long_is_named(cli: Cli, waiting: tuple[str, Path]) -> None:
    answer = cli("run", waiting[1], "--input", '{"seconds": 60}', "--timeout", "2", "--json")
    assert answer.code == 1
    assert answer.out == ""
    assert "1 run(s) not done within 2 s" in answer.err
    (run,) = cli("runs", "list", "--workflow", waiting[0], "--json").json
    assert run["run_id"] in answer.err
    assert run["status"] == "running"


def test_partitions_are_fixed_when_the_topics_are_created(cli: Cli, workflow: tuple[str, Path]) -> None:
    assert cli("run", workflow[1], "--input", '{"n": 1}', "--partitions", "2").code == 0
    answer = cli("run", workflow[1], "--input", '{"n": 1}', "--partitions", "3")
    assert answer.code == 2
    assert "2 partitions" in answer.err
    assert cli("run", workflow[1], "--input", '{"n": 1}').code == 0
