"""Start, find and stop the broker of a home."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from penstock import child
from penstock.devkafka import config, ports, ready, secure, state, storage
from penstock.devkafka.certificates import private
from penstock.devkafka.errors import PortTakenError, StartError
from penstock.devkafka.filelock import exclusive
from penstock.devkafka.install import Distribution, Progress, install
from penstock.devkafka.state import Layout, State

DEFAULT_PORT = 9092
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
_POLL_S = 0.05
_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that runs."""

    home: Path
    bootstrap: str
    pid: int
    data: Path
    log: Path
    version: str
    config: Path | None = None
    """The settings of its user `penstock`, where it is secured."""

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> bool:
        """Stop it; false if it was not running any more."""
        return stop(self.home, timeout)


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a home's broker; `bootstrap` and `pid` are None while it is stopped."""

    running: bool
    bootstrap: str | None
    pid: int | None
    data: Path
    version: str | None
    config: Path | None = None


def start(
    home: Path,
    port: int | None = None,
    *,
    progress: Progress = lambda line: None,
    detach: bool = True,
    die_with_parent: bool = False,
    overrides: Mapping[str, str] | None = None,
    secured: bool = False,
) -> Broker:
    """Start the home's broker and wait until it serves; one that runs already is returned as it is.

    `secured` decides when the home's data folder is made: with users, TLS and ACLs, or without any.
    """
    layout = Layout(home.absolute())
    try:
        with exclusive(layout.lock):
            before = state.read(layout)
            if secured:
                storage.require_secured(layout)
            if before is not None and before.running:
                return _running(layout, before, port)
            _choose_port(layout, port, before)  # now already, so that nothing is downloaded for a port that is taken
            distribution = install(layout.home, progress)
            layout.logs.mkdir(parents=True, exist_ok=True)
            cluster_id = storage.prepare(layout, distribution, progress, secured)
            while True:
                chosen = _choose_port(layout, port, before)
                progress(f"Starting Apache Kafka {distribution.version} at {config.HOST}:{chosen}")
                if storage.is_secured(layout):
                    secure.write_clients(secure.of(layout), f"{config.HOST}:{chosen}")
                settings = _settings(layout, chosen, overrides or {})
                process = _spawn(layout, distribution, settings, detach=detach, die_with_parent=die_with_parent)
                now = State(chosen, distribution.version, process.pid, process.born)
                try:
                    return _await_broker(layout, before, now, cluster_id)
                except StartError:
                    if ports.is_free(chosen):
                        raise
                    progress(f"Port {chosen} was taken by another process meanwhile")
    except OSError as error:
        raise StartError(
            f"Kafka could not be started in {layout.folder}: {error}. Check that the folder can be written to and that "
            "the disk has room, or set PENSTOCK_HOME to another folder."
        ) from error


def stop(home: Path, timeout: float = STOP_TIMEOUT_S) -> bool:
    """Stop the home's broker: SIGTERM, then SIGKILL when `timeout` seconds have passed; false if none was running."""
    layout = Layout(home)
    if state.read(layout) is None:
        return False
    with exclusive(layout.lock):
        before = state.read(layout)
        if before is None or not before.pid:
            return False
        stopped = before.child.stop(timeout)
        state.write(layout, replace(before, pid=0, born=""))
        return stopped


def status(home: Path) -> Status:
    """Look, and change nothing."""
    layout = Layout(home)
    known = state.read(layout)
    if known is None or not known.running:
        return Status(False, None, None, layout.data, known.version if known else None, _config(layout))
    return Status(True, f"{config.HOST}:{known.port}", known.pid, layout.data, known.version, _config(layout))


def _running(layout: Layout, before: State, port: int | None) -> Broker:
    if port is not None and port != before.port:
        raise PortTakenError(
            f"The broker of {layout.home} runs already, at port {before.port} and not {port}. Stop it first to move it."
        )
    return _broker(layout, before)


def _broker(layout: Layout, now: State) -> Broker:
    address = f"{config.HOST}:{now.port}"
    return Broker(layout.home, address, now.pid, layout.data, layout.log, now.version, _config(layout))


def _config(layout: Layout) -> Path | None:
    return secure.of(layout).config_of(secure.CLIENT) if storage.is_secured(layout) else None


def _choose_port(layout: Layout, port: int | None, before: State | None) -> int:
    """Return the port asked for, else the one the home had before (its users know it), else the next free one."""
    wanted = port or (before.port if before else None)
    if wanted is None:
        return ports.next_free(DEFAULT_PORT)
    if not ports.is_free(wanted):
        whose = "" if port else f", which the broker of {layout.home} had before,"
        raise PortTakenError(
            f"Port {wanted}{whose} is taken by another process. Stop that process, or choose another with --port."
        )
    return wanted


def _spawn(
    layout: Layout, distribution: Distribution, settings: Mapping[str, str], *, detach: bool, die_with_parent: bool
) -> child.Child:
    properties = layout.folder / "server.properties"
    private(properties, config.render(settings))  # a secured broker's holds a password
    return child.spawn(
        config.java(distribution, layout.logs, "kafka.Kafka", str(properties)),
        output=layout.output,
        cwd=layout.folder,
        env=config.environment(),
        detach=detach,
        die_with_parent=die_with_parent,
    )


def _settings(layout: Layout, port: int, overrides: Mapping[str, str]) -> dict[str, str]:
    controller = ports.any_free((port,))
    if storage.is_secured(layout):
        overrides = secure.server_properties(secure.of(layout), config.HOST, port, controller) | dict(overrides)
    return config.server_properties(port, controller, layout.data.name, overrides)


def _await_broker(layout: Layout, before: State | None, now: State, cluster_id: str) -> Broker:
    """Remember the broker, so that a stop finds it, and wait for it; of one that does not come up nothing is left."""
    try:
        state.write(layout, now)
        _await_ready(layout, now, cluster_id)
    except BaseException:
        now.child.stop()
        state.restore(layout, before)
        raise
    return _broker(layout, now)


def _await_ready(layout: Layout, now: State, cluster_id: str) -> None:
    """Ask until the broker names itself as a member of our cluster, which it does once it is unfenced."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if not now.running:
            raise StartError(f"Kafka ended while it was starting. {_tail(layout)}")
        try:
            seen = _seen(layout, now.port)
        except (OSError, ValueError):
            seen = None
        if seen is not None and seen.cluster_id == cluster_id and seen.brokers:
            return
        time.sleep(_POLL_S)
    raise StartError(f"Kafka did not answer at port {now.port} within {START_TIMEOUT_S:.0f} s. {_tail(layout)}")


def _seen(layout: Layout, port: int) -> ready.Metadata:
    if not storage.is_secured(layout):
        return ready.metadata(config.HOST, port)
    files = secure.of(layout)
    password = files.password_of(secure.ADMIN).read_text()
    return ready.secured_metadata(config.HOST, port, files.authority, (secure.MECHANISM, secure.ADMIN, password))


def _tail(layout: Layout) -> str:
    """Return what the JVM said, the errors of its log and the log's end, and where to read the rest."""
    said = layout.output.read_text(errors="replace").splitlines() if layout.output.exists() else []
    log = layout.log.read_text(errors="replace").splitlines() if layout.log.exists() else []
    errors = [line for at, line in enumerate(log) if any(" ERROR " in near for near in log[max(0, at - 1) : at + 1])]
    lines = [*said[-_TAIL_LINES:], *errors[:_TAIL_LINES], *log[-_TAIL_LINES:]]
    return "\n".join(["It said:", *lines, f"The log is {layout.log}"])
