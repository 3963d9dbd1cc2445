"""What a page needs: a folder like a clone of the repository, a provider of models, a Kafka."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from penstock import devkafka, devregistry
from penstock.client.deleting import delete_workflow
from penstock.devkafka import ports
from streams.engine.config import EngineConfig
from tests.docs.pages import ROOT
from tests.docs.shell import Shell
from tests.otlp_receiver import Receiver
from topology.load import load_workflow
from topology.plan import WorkflowPlan

ANSWERS = {
    "rules": [
        {"contains": "What does the customer want", "answer": {"label": "refund"}},
    ]
}
"""What the examples' models say where a page goes on from it; all else is any answer that fits the schema."""
COPIED = ("workflows",)
LINKED = ("Makefile", "benchmarks", "README.md", "docs")
OLD = ("constraints.txt", "pyproject.toml")
"""Older than any `.venv`: `make` must not install anew what the tests run in."""
FOREIGN = ("OPENAI_", "PENSTOCK_", "OTEL_", "PYTEST_", "MAKE", "MFLAGS")


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server that speaks the OpenAI protocol; its address."""
    config = tmp_path_factory.mktemp("provider") / "answers.json"
    config.write_text(json.dumps(ANSWERS))
    command = [sys.executable, "-m", "benchmarks.provider", "--config", str(config)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["base_url"]
        finally:
            process.terminate()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder in which the commands of a clone work; what they write stays in it."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".penstock"))
    for name in LINKED:
        (tmp_path / name).symlink_to(ROOT / name)
    for name in OLD:
        os.utime(shutil.copy(ROOT / name, tmp_path), (0, 0))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.fixture
def environment(clone: Path, provider: str) -> dict[str, str]:
    """Nobody's settings, and a provider."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return kept | {
        "PATH": f"{clone / '.venv' / 'bin'}:{os.environ['PATH']}:{Path(__file__).parent / 'bin'}",
        "OPENAI_BASE_URL": provider,
        "OPENAI_API_KEY": "a-key-for-tests",
        "PENSTOCK_KAFKA_DIST": os.environ["PENSTOCK_KAFKA_DIST"],
        "PENSTOCK_REGISTRY_DIST": os.environ.get("PENSTOCK_REGISTRY_DIST", str(ROOT / ".penstock" / "registry-dist")),
        "REPOSITORY": str(ROOT),
        "STAMP": str(clone / ".venv" / ".installed"),
        "PENSTOCK_CONSOLE_TOKEN": "a-token-for-tests",
        "COLUMNS": "200",
    }


@pytest.fixture
def shared_kafka(broker: devkafka.Broker, clone: Path, environment: dict[str, str]) -> Iterator[Shell]:
    """A terminal on the session's Kafka, with a collector of spans; the examples' topics are gone afterwards: other pages use the same names."""
    environment |= {"PENSTOCK_BOOTSTRAP": broker.bootstrap, "PENSTOCK_HOME": str(broker.home)}
    places = {"127.0.0.1:9092": broker.bootstrap, **_port(9464), **_port(8081), "/data/": f"{clone}/data/"}
    with closing(Receiver()) as collector, closing(Shell(clone, environment, places)) as shell:
        shell.places["http://127.0.0.1:4318"] = collector.endpoint
        yield shell
    devregistry.stop(broker.home)
    plans = [load_workflow(file).plan for file in clone.rglob("*.yaml")]
    asyncio.run(_forget([plan for plan in plans if plan is not None], EngineConfig(broker.bootstrap)))


@pytest.fixture
def own_kafka(clone: Path, environment: dict[str, str]) -> Iterator[Shell]:
    """A terminal without any Kafka; what the page starts is stopped."""
    with closing(Shell(clone, environment, {})) as shell:
        yield shell
    devkafka.stop(clone / shell.env.get("PENSTOCK_HOME", ".penstock"))


def _port(written: int) -> dict[str, str]:
    """Return what stands for a port that a page chooses."""
    free = ports.any_free()
    return {f"-port {written}": f"-port {free}", f"127.0.0.1:{written}": f"127.0.0.1:{free}"}


async def _forget(plans: list[WorkflowPlan], config: EngineConfig) -> None:
    """Delete what the page's workflows left: a folder has the same one more than once, as a page copies it."""
    await asyncio.gather(*(delete_workflow(plan, config) for plan in {plan.id: plan for plan in plans}.values()))
