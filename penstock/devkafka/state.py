"""Where things are in a home, and what a home remembers between starts."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from penstock.child import Child


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one home."""

    home: Path

    @property
    def folder(self) -> Path:
        """Return the folder that all the others are in."""
        return self.home.absolute() / "kafka"

    @property
    def data(self) -> Path:
        """Return Kafka's data folder."""
        return self.folder / "data"

    @property
    def logs(self) -> Path:
        """Return the folder of the broker's own logs."""
        return self.folder / "logs"

    @property
    def log(self) -> Path:
        """Return Kafka's log."""
        return self.logs / "kafka.log"

    @property
    def output(self) -> Path:
        """Return what the JVM wrote to its stdout and stderr since its last start."""
        return self.logs / "kafka.out"

    @property
    def lock(self) -> Path:
        """Return the file whose lock a start or stop holds."""
        return self.folder / ".lock"


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered: the port to keep, and the process to find again (pid 0: stopped)."""

    port: int
    version: str
    pid: int = 0
    born: str = ""

    @property
    def child(self) -> Child:
        """Return the process, alive or not."""
        return Child(self.pid, self.born)

    @property
    def running(self) -> bool:
        """Tell whether the process is there and is the one that we started."""
        return self.pid > 0 and self.child.alive()


def read(layout: Layout) -> State | None:
    """Return what the home remembers; nothing if it was never started or the file is not ours."""
    try:
        return State(**json.loads((layout.folder / "state.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write(layout: Layout, state: State) -> None:
    """Replace what the home remembers, in one step."""
    replace(layout.folder / "state.json", json.dumps(asdict(state)))


def restore(layout: Layout, before: State | None) -> None:
    """Forget a start that failed: a port that never served is not one to keep."""
    if before is None:
        (layout.folder / "state.json").unlink(missing_ok=True)
    else:
        write(layout, before)


def replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new, and never half of it."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text)
    scratch.replace(path)
