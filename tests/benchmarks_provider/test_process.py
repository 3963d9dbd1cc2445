"""The server as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.benchmarks_provider.conftest import chat


def test_it_says_where_it_listens_and_stops_when_told(tmp_path: Path) -> None:
    config = tmp_path / "provider.json"
    config.write_text(json.dumps({"seed": 3, "rules": [{"contains": "hi", "answer": {"label": "x"}}]}))
    command = [sys.executable, "-m", "benchmarks.provider", "--config", str(config), "--fault", "http_500=0.0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as running:
        try:
            assert running.stdout is not None
            listening = json.loads(running.stdout.readline())
            reply = httpx2.post(listening["base_url"] + "/chat/completions", json=chat("hi"), timeout=30)
            assert reply.json()["choices"][0]["message"]["content"] == '{"label":"x"}'
            assert httpx2.get(listening["admin_url"] + "/config", timeout=30).json()["seed"] == 3
        finally:
            running.terminate()
        assert running.wait(10) == 0


def test_a_bad_option_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks.provider", "--fault", "http_418=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 1
    assert "unknown fault 'http_418'" in done.stderr
