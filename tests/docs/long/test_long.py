"""What takes minutes, the network or Docker, run in the repository as a developer would, in short where it has a size."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.docs.pages import ROOT, Command, blocks
from tests.docs.shell import Shell
from tests.docs.test_named import LONG

IN_REPOSITORY = """\
make() { command make -o "$STAMP" VENV="${STAMP%/*}" "$@"; }
OUT="$PWD"; cd "$REPOSITORY"
"""
"""`make` takes the environment that the tests run in for installed; `$OUT` is a folder that goes away."""
PATIENCE_S = 1_200
IMAGE = [
    command
    for block in blocks(ROOT / "docs" / "containers.md")
    if "docker build" in block.text
    for command in block.commands()
]


@pytest.fixture
def terminal(own_kafka: Shell) -> Shell:
    """A patient one, in the repository."""
    own_kafka.patience_s = PATIENCE_S
    own_kafka.run(Command(IN_REPOSITORY, "", (), 0))
    return own_kafka


@pytest.mark.timeout(2 * PATIENCE_S)
@pytest.mark.parametrize("named", LONG)
def test_it_runs(named: str, terminal: Shell) -> None:
    command, printed = LONG[named]
    print(terminal.run(Command(command, "", printed, 0)))  # noqa: T201


@pytest.mark.timeout(2 * PATIENCE_S)
def test_docker_builds_the_image_and_runs_it(terminal: Shell) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine here")
    for command in IMAGE:
        print(terminal.run(command))  # noqa: T201
