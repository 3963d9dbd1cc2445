"""`worker --health-port`: what a probe sees of a real worker."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from penstock.devkafka import ports
from tests.cli.conftest import Cli


def ask(port: int, path: str) -> tuple[int, str]:
    """Ask until somebody answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def reasons(answer: tuple[int, str]) -> Any:
    return json.loads(answer[1])["reasons"]


def test_a_worker_whose_broker_says_nothing_is_live_and_not_ready(offline: Cli, workflow: tuple[str, Path]) -> None:
    port = ports.any_free()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        offline.start(
            "worker", workflow[1], "--health-port", str(port), "--bootstrap", f"127.0.0.1:{silent.getsockname()[1]}"
        )
        assert ask(port, "/livez")[0] == 200
        ready = ask(port, "/readyz")
        assert ready[0] == 503
        assert "starting" in reasons(ready)[0]


@pytest.mark.kafka
def test_health_and_metrics_at_one_port(cli: Cli, workflow: tuple[str, Path]) -> None:
    port = str(ports.any_free())
    worker = cli.worker(workflow[1], "--health-port", port, "--metrics-port", port)
    assert [ask(int(port), path)[0] for path in ("/livez", "/readyz", "/healthz")] == [200, 200, 200]
    assert "penstock_consumer_lag" in ask(int(port), "/metrics")[1]
    second = cli("worker", workflow[1], "--health-port", port)
    assert second.code == 2
    assert f"--health-port {port}" in second.err
    worker.terminate()
    assert worker.wait() == 0
