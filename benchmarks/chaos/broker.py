"""The embedded Kafka with a listener per network line: each advertises the port of that line's proxy."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from benchmarks.chaos.waiting import until
from penstock import devkafka
from penstock.devkafka import ports

HOST = "127.0.0.1"


def some_ports(count: int) -> list[int]:
    """Return different free ports."""
    found: list[int] = []
    while len(found) < count:
        found.append(ports.any_free(found))
    return found


class Broker:
    """One broker, killed and started again on the same data and ports. `lines` are listener port -> advertised port."""

    def __init__(self, home: Path, lines: Mapping[int, int]) -> None:
        self._home = home
        self._port, self._controller = some_ports(2)
        self._overrides = _listeners(self._port, self._controller, lines)
        self._running: devkafka.Broker | None = None
        self.up = False

    @property
    def bootstrap(self) -> str:
        """The address that no proxy stands before."""
        return f"{HOST}:{self._port}"

    async def start(self) -> None:
        """Start it and wait until it serves; a start that is cancelled is waited for, so that `stop` finds the process."""
        starting = asyncio.ensure_future(asyncio.to_thread(self._start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])
            raise
        self.up = True

    def _start(self) -> None:
        self._running = devkafka.start(self._home, self._port, die_with_parent=True, overrides=self._overrides)

    async def kill(self) -> None:
        """End it as a power cut does; its data stay."""
        assert self._running is not None
        self.up = False
        os.kill(self._running.pid, signal.SIGKILL)
        await until(lambda: not devkafka.status(self._home).running, 10)

    async def stop(self) -> None:
        """Stop it for good."""
        self.up = False
        await asyncio.to_thread(devkafka.stop, self._home, 10.0)


def _listeners(port: int, controller: int, lines: Mapping[int, int]) -> dict[str, str]:
    names = {f"LINE{index}": at for index, at in enumerate(lines.items())}
    listens = [f"PLAINTEXT://{HOST}:{port}", f"CONTROLLER://{HOST}:{controller}"]
    says = [f"PLAINTEXT://{HOST}:{port}"]
    for name, (listener, advertised) in names.items():
        listens.append(f"{name}://{HOST}:{listener}")
        says.append(f"{name}://{HOST}:{advertised}")
    protocols = ",".join(f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *names))
    return {
        "listeners": ",".join(listens),
        "advertised.listeners": ",".join(says),
        "listener.security.protocol.map": protocols,
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        # The controller takes a killed broker back only when its session is over: 9 s, unless told otherwise.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
    }
