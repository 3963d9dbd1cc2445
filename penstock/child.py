"""Start a program so that it can be found again, stopped by pid, and never outlives its owner when told so.

Used by the embedded Kafka and the local model; never signals a process whose identity it has not checked.

`die_with_parent` works by a pipe, on Linux and macOS alike: this very file is run as a launcher, which forks a watchdog
and then execs the program, so the program keeps the pid we know. The watchdog is the program's child and holds the read
end of a pipe whose write end only the owner has: end of file means the owner is gone, however it died (kill -9 too),
from whichever thread it started us (PR_SET_PDEATHSIG fires when the starting *thread* ends). Since the watchdog signals
its own parent, the pid cannot have been reused. A child forked without exec by the owner holds the pipe as well.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE_S = 10.0
_POLL_S = 0.05
_WATCH_S = 0.5

_owned: dict[int, tuple[subprocess.Popen[bytes], int | None]] = {}
"""Popen and write end of the pipe per pid: both must live as long as this process, whoever drops the Child."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process and what tells it from a later one with the same pid."""

    pid: int
    born: str

    def alive(self) -> bool:
        """Tell whether this very process still runs (a zombie does not)."""
        owned = _owned.get(self.pid)
        if owned is not None and owned[0].poll() is not None:
            return False
        return birth(self.pid) == self.born

    def stop(self, timeout: float = GRACE_S) -> bool:
        """Ask with SIGTERM, wait, insist with SIGKILL; false if it was not running. A reused pid is left alone."""
        was_alive = self.alive()
        if was_alive and not self._signal_and_wait(signal.SIGTERM, timeout):
            self._signal_and_wait(signal.SIGKILL, GRACE_S)
        _disown(self.pid)
        return was_alive

    def _signal_and_wait(self, number: signal.Signals, timeout: float) -> bool:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True


def spawn(
    argv: Sequence[str],
    *,
    output: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    detach: bool = True,
    die_with_parent: bool = False,
) -> Child:
    """Start `argv` with its stdout and stderr going to the file `output`; `detach` puts it out of Ctrl-C's reach."""
    reader, writer = os.pipe() if die_with_parent else (None, None)
    if reader is not None:
        argv = [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(reader), *argv]
    try:
        with output.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603 - the callers build argv from paths of their own
                argv,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=env,
                start_new_session=detach,
                pass_fds=() if reader is None else (reader,),
            )
    except BaseException:
        if writer is not None:
            os.close(writer)
        raise
    finally:
        if reader is not None:
            os.close(reader)
    _owned[process.pid] = (process, writer)
    return Child(process.pid, birth(process.pid) or "")


def birth(pid: int) -> str | None:
    """Say when the process began, in whatever words the system has for it; None if it is gone or a zombie."""
    if sys.platform == "linux":
        return _birth_from_proc(pid)
    listing = subprocess.run(  # noqa: S603
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607 - ps has no one path on all systems
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = listing.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def _birth_from_proc(pid: int) -> str | None:
    """Read it from /proc; a killed JVM shows as a zombie while its threads still end, and holds its ports until then."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the command in parentheses may hold spaces and parentheses itself
    return None if fields[0] in "ZX" and threads <= 1 else f"{boot}:{fields[19]}"


def _disown(pid: int) -> None:
    """Reap it and close the pipe, so that neither a zombie nor a descriptor stays behind."""
    owned = _owned.pop(pid, None)
    if owned is None:
        return
    process, writer = owned
    process.wait()
    if writer is not None:
        os.close(writer)


def _launch(reader: int, argv: list[str]) -> None:
    """Fork the watchdog, then become the program; runs in the launcher process, which is single-threaded."""
    program = os.getpid()
    if os.fork() == 0:
        _watch(reader, program)
        os._exit(0)
    os.set_inheritable(reader, False)
    os.execv(argv[0], argv)  # noqa: S606 - becoming the program is the point


def _watch(reader: int, program: int) -> None:
    """Wait until the owner is gone, then end the program; or leave when the program has ended by itself."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    while os.getppid() == program:
        if select.select([reader], [], [], _WATCH_S)[0] and not os.read(reader, 1):
            break
    for number, grace in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, 0.0)):
        deadline = time.monotonic() + grace
        if os.getppid() == program:
            os.kill(program, number)
        while os.getppid() == program and time.monotonic() < deadline:
            time.sleep(_POLL_S)


if __name__ == "__main__":
    _launch(int(sys.argv[1]), sys.argv[2:])
