"""A child is found again by identity, stops when told, and goes when its owner goes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock import child
from penstock.child import Child

STUBBORN = (
    "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
)
OWNER = """
import sys, time
from pathlib import Path
from penstock import child
started = child.spawn([sys.executable, "-c", "import time; time.sleep(600)"], output=Path(sys.argv[1]), die_with_parent=True)
print(started.pid, flush=True)
time.sleep(600)
"""


def wait_for(condition: Callable[[], object], timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.parametrize("die_with_parent", [False, True])
def test_a_child_that_ends_by_itself_is_not_alive(tmp_path: Path, die_with_parent: bool) -> None:
    quick = child.spawn([sys.executable, "-c", ""], output=tmp_path / "out", die_with_parent=die_with_parent)
    wait_for(lambda: not quick.alive())
    assert not quick.stop()


@pytest.mark.parametrize("die_with_parent", [False, True])
def test_stop_insists_with_sigkill(tmp_path: Path, die_with_parent: bool) -> None:
    output = tmp_path / "out"
    stubborn = child.spawn([sys.executable, "-c", STUBBORN], output=output, die_with_parent=die_with_parent)
    wait_for(lambda: b"up" in output.read_bytes())
    assert stubborn.stop(timeout=0.2)
    assert not stubborn.alive()
    assert not Path(f"/proc/{stubborn.pid}").exists(), "it was not reaped"


def test_a_reused_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = child.spawn([sys.executable, "-c", "import time; time.sleep(600)"], output=tmp_path / "out")
    try:
        assert not Child(stranger.pid, "another birth").alive()
        assert birth_survives_wrong_stop(stranger)
    finally:
        stranger.stop()


def birth_survives_wrong_stop(stranger: Child) -> bool:
    impostor = Child(stranger.pid, "another birth")
    saved = child._owned.pop(stranger.pid)  # as seen from another process, which owns nothing
    stopped = impostor.stop()
    child._owned[stranger.pid] = saved
    return not stopped and stranger.alive()


def test_it_goes_when_its_owner_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path / "out")], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert child.birth(pid)
        os.kill(owner.pid, signal.SIGKILL)
    wait_for(lambda: child.birth(pid) is None)


def test_a_program_that_is_not_there_says_so_in_the_output(tmp_path: Path) -> None:
    missing = child.spawn(["/nowhere/java"], output=tmp_path / "out", die_with_parent=True)
    wait_for(lambda: not missing.alive())
    assert "/nowhere/java" in (tmp_path / "out").read_text() or "No such file" in (tmp_path / "out").read_text()
    missing.stop()
    with pytest.raises(FileNotFoundError):
        child.spawn(["/nowhere/java"], output=tmp_path / "out")
