"""Who uses the embedded Kafka of a home, so that the last `penstock run` to end stops what the first one started.

Every run holds the lock on a file of its own; the system lets go of it however the run ends. A broker started for runs is
marked; a keeper process (this module, run by itself) waits until no run is left and stops it, should a run have been killed.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from penstock import child, devkafka
from penstock.devkafka.filelock import exclusive


@contextmanager
def embedded_kafka(home: Path, progress: Callable[[str], None], keep: bool) -> Iterator[str]:
    """Yield the address of the home's Kafka, started if none runs; at the end stop it, if it was started so and nobody else is left."""
    folder = _folder(home)
    mine = folder / f"{uuid4().hex}.run"
    with mine.open("w") as held:
        try:
            with exclusive(_lock(folder)):
                fcntl.flock(held, fcntl.LOCK_EX)
                bootstrap = _running(home, folder, progress)
                if keep:
                    adopt(home)
            yield bootstrap
        finally:
            with exclusive(_lock(folder)):
                mine.unlink(missing_ok=True)
                _stop_if_last(home, folder, progress)


def adopt(home: Path) -> None:
    """Leave the home's Kafka running when runs end: somebody asked for it by name."""
    _mark(_folder(home)).unlink(missing_ok=True)


def _running(home: Path, folder: Path, progress: Callable[[str], None]) -> str:
    known = devkafka.status(home)
    if known.running and known.bootstrap:
        return known.bootstrap
    # Marked and watched before it starts: whenever this process is killed, somebody stops it.
    _mark(folder).write_text("")
    argv = [sys.executable, "-m", __name__, str(home.absolute())]
    child.spawn(argv, output=folder / "keeper.log")
    broker = devkafka.start(home, progress=progress)
    _mark(folder).write_text(str(broker.pid))
    return broker.bootstrap


def _stop_if_last(home: Path, folder: Path, progress: Callable[[str], None]) -> None:
    if any(_is_held(path) for path in folder.glob("*.run")):
        return
    known = devkafka.status(home)
    mark = _mark(folder)
    if known.running and mark.exists() and mark.read_text() in ("", str(known.pid)):
        progress("Stopping Kafka")
        devkafka.stop(home)
        mark.unlink(missing_ok=True)


def _keep(home: Path) -> None:
    """Wait until no run is left, then stop what they used."""
    folder = _folder(home)
    while True:
        for path in folder.glob("*.run"):
            _wait_for(path)
        with exclusive(_lock(folder)):
            if not any(_is_held(path) for path in folder.glob("*.run")):
                for path in folder.glob("*.run"):
                    path.unlink(missing_ok=True)
                return _stop_if_last(home, folder, lambda line: None)


def _is_held(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _wait_for(path: Path) -> None:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        pass


def _folder(home: Path) -> Path:
    folder = home.absolute() / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _lock(folder: Path) -> Path:
    return folder / ".lock"


def _mark(folder: Path) -> Path:
    return folder / "kafka-was-started-for-runs"


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
