"""The commands around a worker: publish, consume, runs, cancel, and the worker's own end."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import WAITING, Answer, Cli, write_workflow

pytestmark = pytest.mark.kafka


def _until(cli: Cli, *args: str, code: int = 0) -> Answer:
    """Repeat a command until it answers so: a published input takes a moment to become a run. The test's timeout is the limit."""
    while (answer := cli(*args)).code != code:
        pass
    return answer


def _end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_from_publish_to_consume(cli: Cli, workflow: tuple[str, Path]) -> None:
    workflow_id, file = workflow
    worker = cli.worker(file, "--partitions", "2")
    published = cli("publish", workflow_id, "--input-file", "-", "--json", stdin='{"n": 1}\n{"n": 2}\n{"n": -3}\n')
    assert published.code == 0, published.err
    assert [set(p) for p in published.json] == [{"run_id", "topic", "partition", "offset"}] * 3
    assert {p["topic"] for p in published.json} == {f"{workflow_id}.input"}

    consumed = cli("consume", workflow_id, "--max", "3", "--json", "--timeout", "30")
    assert consumed.code == 0, consumed.err
    assert {r["run_id"] for r in consumed.json} == {p["run_id"] for p in published.json}

    listed = cli("runs", "list", "--workflow", workflow_id, "--json").json
    assert sorted(r["status"] for r in listed) == ["failed", "success", "success"]
    assert len(cli("runs", "list", "--workflow", workflow_id, "--status", "failed", "--json").json) == 1
    assert len(cli("runs", "list", "--workflow", workflow_id, "--limit", "2", "--json").json) == 2
    assert published.json[0]["run_id"] in cli("runs", "list", "--workflow", workflow_id).out

    for command in (["consume", workflow_id], ["runs", "show", published.json[0]["run_id"]]):
        assert '{"n":4}' in cli(*command, *(["--max", "3"] if command[0] == "consume" else [])).out
    code, err = _end(worker)
    assert code == 0
    assert err.count("state_retention_ms is shorter than the input topic's retention") == 1


def test_a_named_run_is_one_run(cli: Cli, workflow: tuple[str, Path]) -> None:
    workflow_id, file = workflow
    cli.worker(file)
    for _ in range(2):
        published = cli("publish", workflow_id, "--input", '{"n": 1}', "--run-id", "Käse 7", "--json")
        assert published.object["run_id"] == "Käse 7"
    assert cli("consume", workflow_id, "--run-id", "Käse 7", "--timeout", "30").code == 0
    shown = cli("runs", "show", "Käse 7", "--workflow", workflow_id, "--json").object
    assert shown["status"] == "success"
    assert list(shown["nodes"]) == ["add", "twice_it"]
    node = shown["nodes"]["twice_it"]
    assert (node["status"], node["attempts"], node["output"], node["error"]) == ("success", 1, {"n": 4}, None)
    assert len(node["input_hash"]) == 64
    assert len(cli("consume", workflow_id, "--timeout", "2", "--json").json) == 1


def test_cancel(cli: Cli, waiting: tuple[str, Path]) -> None:
    workflow_id, file = waiting
    cli.worker(file)
    cli("publish", workflow_id, "--input", '{"seconds": 100}', "--run-id", "long")
    show = ("runs", "show", "long", "--workflow", workflow_id, "--json")
    while (running := _until(cli, *show).object)["nodes"]["hold"]["status"] != "running":
        pass
    assert (running["status"], running["finished_at"]) == ("running", None)
    assert running["nodes"]["after"]["status"] == "pending"

    cancelled = cli("cancel", "long", "--workflow", workflow_id, "--json")
    assert (cancelled.code, cancelled.object) == (0, {"run_id": "long", "status": "cancelled"})
    again = cli("cancel", "long", "--workflow", workflow_id)
    assert again.code == 1
    assert "finished already: cancelled" in again.err
    shown = cli(*show).object
    assert [node["status"] for node in shown["nodes"].values()] == ["cancelled", "cancelled"]


def test_a_cancel_that_no_worker_answers(cli: Cli, waiting: tuple[str, Path]) -> None:
    workflow_id, file = waiting
    worker = cli.worker(file)
    cli("publish", workflow_id, "--input", '{"seconds": 100}', "--run-id", "orphan")
    _until(cli, "runs", "show", "orphan", "--workflow", workflow_id)
    worker.kill()
    answer = cli("cancel", "orphan", "--workflow", workflow_id, "--timeout", "1", "--json")
    assert answer.code == 1
    assert answer.object == {"run_id": "orphan", "status": "running"}
    assert "does a worker run?" in answer.err


def test_two_workflows_in_one_worker_may_have_equal_run_ids(cli: Cli, workflow: tuple[str, Path]) -> None:
    other, other_file = write_workflow(cli.folder, WAITING)
    worker = cli.worker(workflow[1], other_file)
    assert worker.stdout is not None
    worker.stdout.readline()
    twin = f"twin-of-{other}"
    for workflow_id in (workflow[0], other):
        cli("publish", workflow_id, "--input", '{"n": 1}', "--run-id", twin)
        assert cli("consume", workflow_id, "--run-id", twin, "--timeout", "30").code == 0
    for command in (["runs", "show", twin], ["cancel", twin]):
        answer = cli(*command)
        assert answer.code == 2
        assert workflow[0] in answer.err
        assert other in answer.err
    assert cli("runs", "show", twin, "--workflow", other, "--json").object["workflow_id"] == other
    assert _end(worker, signal.SIGINT)[0] == 0


def test_what_is_not_there(cli: Cli, workflow: tuple[str, Path]) -> None:
    workflow_id, file = workflow
    cli("run", file, "--input", '{"n": 1}')
    for command in (["publish", f"{workflow_id}x", "--input", "1"], ["consume", f"{workflow_id}x"]):
        answer = cli(*command)
        assert answer.code == 1
        assert f"did you mean '{workflow_id}'" in answer.err
    for command in (["runs", "show", "nobody"], ["cancel", "nobody"]):
        answer = cli(*command)
        assert answer.code == 1
        assert "no run 'nobody'" in answer.err
    answer = cli("consume", workflow_id, "--max", "2", "--timeout", "2", "--json")
    assert answer.code == 1
    assert len(answer.json) == 1
    assert "1 result(s) did not come within 2 s" in answer.err


def test_where_consume_begins(cli: Cli, workflow: tuple[str, Path]) -> None:
    workflow_id, file = workflow
    cli("run", file, "--input", '{"n": 1}')
    for begin, expected in (("earliest", 1), ("-1h", 1), ("2020-01-01", 1), ("latest", 0), ("2999-01-01T00:00:00Z", 0)):
        answer = cli("consume", workflow_id, "--from", begin, "--timeout", "1.5", "--json")
        assert (answer.code, len(answer.json)) == (0, expected), begin


def test_ctrl_c_is_the_usual_end_of_consume(cli: Cli, workflow: tuple[str, Path]) -> None:
    cli("run", workflow[1], "--input", '{"n": 1}')
    reading = cli.start("consume", workflow[0], "--json")
    assert reading.stdout is not None
    assert reading.stdout.readline()
    assert _end(reading, signal.SIGINT)[0] == 0
