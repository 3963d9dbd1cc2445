"""Commands without their imports: each is a process of its own, forked from one that has imported what commands need.

Importing is two thirds of what a command costs, and the tests run some hundreds of them. What stays (`Cli.start`, `Cli.worker`)
and the commands of the documentation (`tests/docs`) start as they do for people, from nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

IMPORTED = ("penstock.cli", "penstock.client", "streams.engine", "streams.audit", "topology")


class Forks:
    """The process that forks, and what it is asked: one connection a command."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.address = str(Path(self._folder.name) / "forks")
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(self.address)
        listening.listen(64)
        with listening:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.cli.forks", str(listening.fileno())],
                stdin=subprocess.PIPE,  # its end is the end of the process
                pass_fds=[listening.fileno()],
                cwd=Path(__file__).parents[2],
            )

    def run(
        self, args: list[str], folder: Path, env: dict[str, str], stdin: str | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `penstock` to its end, as `subprocess.run` would."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write((stdin or "").encode())
            given.seek(0)
            asked = json.dumps({"args": args, "folder": str(folder), "env": env}).encode()
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(self.address)
                socket.send_fds(connection, [len(asked).to_bytes(4)], [given.fileno(), out.fileno(), err.fileno()])
                connection.sendall(asked)
                told = connection.makefile("r")
                pid = int(told.readline())
                connection.settimeout(timeout)
                try:
                    code = int(told.readline())
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(["penstock", *args], timeout) from None
            texts = [file.seek(0) or file.read().decode() for file in (out, err)]
        return subprocess.CompletedProcess(args, code, *texts)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


@cache
def forks() -> Forks:
    """Return this process's, started at the first command."""
    made = Forks()
    atexit.register(made.close)
    return made


# ---- the process that forks ------------------------------------------------------------------------------------------


def serve(listening: socket.socket) -> None:
    """Fork for whoever asks, until stdin ends. Returns in the forked process, which is then a command's."""
    for name in IMPORTED:
        for module in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
            importlib.import_module(module.name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for who waits
    while listening in select.select([listening, sys.stdin], [], [])[0]:
        connection, _ = listening.accept()
        with connection:
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listening.close()
                answer(connection)


def answer(connection: socket.socket) -> None:
    """Have one command run, and say how it ended."""
    size, descriptors, *_ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as asking:
        asked = json.loads(asking.read(int.from_bytes(size)))
    command = os.fork()
    if command == 0:
        connection.close()
        become(asked, descriptors)
    connection.sendall(f"{command}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(f"{code}\n".encode())
    os._exit(0)


def become(asked: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Be `python -m penstock`."""
    for ours, theirs in enumerate(descriptors):
        os.dup2(theirs, ours)
        os.close(theirs)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(
        io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv[1:] = asked["args"]
    sys.path[0] = asked["folder"]
    runpy.run_module("penstock", run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
