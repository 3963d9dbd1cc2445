"""Bad usage is exit 2 and one clear line; what is not there yet is an unknown command, and nothing pretends."""

import socket
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock.cli.main import app
from tests.cli.conftest import Cli


def test_a_command_that_is_not_there() -> None:
    answer = CliRunner().invoke(app, ["cosnole"])
    assert answer.exit_code == 2
    assert "No such command" in answer.stderr


def test_version_and_help() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("penstock ")
    for command in (
        "kafka",
        "check",
        "describe",
        "run",
        "worker",
        "publish",
        "consume",
        "replay",
        "runs",
        "cancel",
        "audit",
    ):
        answer = CliRunner().invoke(app, [command, "--help"])
        assert answer.exit_code == 0
        assert len(answer.stdout) > 100


BAD = {
    "publish x": "either --input JSON or --input-file FILE",
    "publish x --input 1 --input-file f": "either --input JSON or --input-file FILE",
    "publish x --input {n": "--input: not JSON",
    "publish x --input NaN": "--input: not JSON",
    "publish x --input-file nowhere.jsonl": "nowhere.jsonl: No such file",
    "publish x --input-file bad.jsonl": "bad.jsonl:3: not JSON",
    "publish x --input-file blank.jsonl": "blank.jsonl: no input in it",
    "publish x --input 1 --run-id a/b": "'a/b' is no run id",
    "publish x --input-file good.jsonl --run-id a": "--run-id names one run, and there are 2 inputs",
    "publish x --input 1 --bootstrap nowhere": "'nowhere' is no broker address",
    "publish x --input 1 --bootstrap h:99999": "is no broker address",
    "consume x --from yesterday": "--from: 'yesterday' is no time",
    "run nowhere.yaml --input 1": "nowhere.yaml:1:1: no such file",
    "worker nowhere.yaml": "nowhere.yaml:1:1: no such file",
    "describe nowhere.yaml": "nowhere.yaml:1:1: no such file",
    "runs list --status odd": "odd",
}


@pytest.mark.parametrize("line", BAD, ids=str)
def test_bad_usage(line: str, offline: Cli) -> None:
    (offline.folder / "bad.jsonl").write_text('{"n": 1}\n\n{"n": \n')
    (offline.folder / "good.jsonl").write_text('\ufeff{"n": 1}\n\n{"n": 2}')
    (offline.folder / "blank.jsonl").write_text("\n \n")
    answer = offline(*line.split())
    assert answer.code == 2
    assert BAD[line] in answer.err
    assert answer.out == ""


@pytest.mark.parametrize("line", ["publish x --input 1", "consume x", "runs list", "runs show r", "cancel r"])
def test_without_a_broker_it_says_how_to_start_one(line: str, offline: Cli) -> None:
    answer = offline(*line.split(), "--json")
    assert answer.code == 1
    assert "penstock kafka start" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert answer.out == ""


def test_a_worker_without_a_broker(offline: Cli, workflow: tuple[str, Path]) -> None:
    answer = offline("worker", workflow[1])
    assert answer.code == 1
    assert "penstock kafka start" in answer.err


@pytest.mark.parametrize("line", ["publish x --input 1", "runs list", "consume x"])
def test_a_closed_port(line: str, offline: Cli) -> None:
    answer = offline(*line.split(), "--bootstrap", "127.0.0.1:1")
    assert answer.code == 1
    assert "no Kafka broker answers at 127.0.0.1:1" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_port_that_says_nothing(offline: Cli) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        answer = offline("runs", "list", "--bootstrap", f"127.0.0.1:{silent.getsockname()[1]}")
    assert answer.code == 1
    assert "no Kafka broker answers" in answer.err
    assert time.monotonic() - began < 25


def test_settings_that_cannot_work(offline: Cli) -> None:
    (offline.folder / "penstock.toml").write_text("bootstap = 'x'")
    answer = offline("runs", "list")
    assert answer.code == 2
    assert "bootstap" in answer.err


def test_kafka_status_while_it_is_stopped(offline: Cli) -> None:
    answer = offline("kafka", "status", "--json")
    assert answer.code == 1
    assert answer.object["running"] is False
