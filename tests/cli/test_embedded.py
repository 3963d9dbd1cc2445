"""`penstock run` with the embedded Kafka: started for it, shared by runs at once, and gone when the last of them is, however it ends."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.kafka


def _read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended without saying {words!r}")


def _until_stopped(cli: Cli) -> None:
    while cli("kafka", "status").code == 0:
        pass


def test_two_runs_at_once_share_it(offline: Cli, waiting: tuple[str, Path]) -> None:
    first = offline.start("run", waiting[1], "--input", '{"seconds": 1}', "--json")
    _read_until(first, "0 of 1 runs")
    second = offline("run", waiting[1], "--input", '{"seconds": 5}', "--json", timeout=120)
    assert second.code == 0, second.err
    assert "Starting Apache Kafka" not in second.err
    assert first.wait(60) == 0
    assert offline("kafka", "status").code == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_it_ends_with_the_run(number: signal.Signals, offline: Cli, waiting: tuple[str, Path]) -> None:
    run = offline.start("run", waiting[1], "--input", '{"seconds": 100}')
    _read_until(run, "0 of 1 runs")
    run.send_signal(number)
    _, err = run.communicate(timeout=60)
    assert run.returncode != 0
    assert "Traceback" not in err
    if number is signal.SIGKILL:
        _until_stopped(offline)
    assert offline("kafka", "status").code == 1


def test_kept_and_fresh(offline: Cli, workflow: tuple[str, Path]) -> None:
    workflow_id, file = workflow
    try:
        assert offline("run", file, "--input", '{"n": 1}', "--keep").code == 0
        assert offline("kafka", "status").code == 0
        assert offline("run", file, "--input", '{"n": 1}').code == 0
        assert len(offline("runs", "list", "--json").json) == 2
        assert offline("run", file, "--input", '{"n": 1}', "--fresh").code == 0
        assert len(offline("consume", workflow_id, "--timeout", "2", "--json").json) == 1
        assert len(offline("runs", "list", "--json").json) == 1
        worker = offline.worker(file)
        refused = offline("run", file, "--input", '{"n": 1}', "--fresh")
        assert refused.code == 1
        assert "a worker" in refused.err
        worker.kill()
    finally:
        assert offline("kafka", "stop", "--json").object["stopped"] is True
    assert offline("kafka", "status").code == 1


def test_started_by_name_it_stays(offline: Cli, workflow: tuple[str, Path]) -> None:
    started = offline("kafka", "start", "--json").object
    try:
        assert set(started) == {"bootstrap", "pid", "data"}
        assert offline("kafka", "status", "--json").object["bootstrap"] == started["bootstrap"]
        assert offline("run", workflow[1], "--input", '{"n": 1}').code == 0
        assert offline("kafka", "start", "--json").object == started
    finally:
        offline("kafka", "stop")
