"""Processes of a run: the model, the drivers of chain and mesh; and what CPU each part took."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

START_S = 1.0
"""The first task arrives so long after everybody is ready."""

WARM_UP = 20
"""Tasks beyond the last one that each process does first; neither they nor their calls count."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a pattern; `scale` divides the model's time, the patterns' waits and the deadline."""

    tasks: int
    rate: float
    seed: int = 1
    level: float = 1.0
    scale: float = 1.0
    shares: int = 2
    """Driver processes of chain and mesh; workers of Penstock."""


@dataclass(slots=True)
class Model:
    """The running model."""

    base_url: str
    process: asyncio.subprocess.Process
    calls: list[dict[str, Any]]
    """Filled when the block ends."""


@contextlib.asynccontextmanager
async def model(load: Load, folder: Path) -> AsyncIterator[Model]:
    """Run the model as a process; its calls are there when the block has ended."""
    path = folder / "calls.jsonl"
    options = ("--calls", str(path), *_options(seed=load.seed, level=load.level, scale=load.scale))
    process = await _start("benchmarks.patterns.oracle", *options)
    assert process.stdout is not None
    try:
        told = orjson.loads(await process.stdout.readline())
        running = Model(told["base_url"], process, [])
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
    running.calls.extend(orjson.loads(line) for line in path.read_bytes().splitlines())


async def drive(pattern: str, load: Load, base_url: str, meter: Meter) -> list[dict[str, Any]]:
    """Run chain or mesh in `load.shares` processes; return a result for each task."""
    options = _options(tasks=load.tasks, rate=load.rate, seed=load.seed, scale=load.scale, shares=load.shares)
    command = ("benchmarks.patterns.drive", pattern, "--base-url", base_url, *options)
    drivers = [await _start(*command, "--share", str(share)) for share in range(load.shares)]
    try:
        for driver in drivers:
            assert driver.stdout is not None
            assert (await driver.stdout.readline()).strip() == b"ready", f"the driver of {pattern} ended"
            meter.watch("clients", driver.pid)
        meter.start()
        begin = f"{time.time() + START_S}\n".encode()
        said = await asyncio.gather(*(_finish(driver, begin, meter) for driver in drivers))
    finally:
        for driver in drivers:
            if driver.returncode is None:
                driver.kill()
    return [orjson.loads(line) for text in said for line in text.splitlines()]


async def _finish(driver: asyncio.subprocess.Process, begin: bytes, meter: Meter) -> bytes:
    assert driver.stdin is not None
    assert driver.stdout is not None
    driver.stdin.write(begin)
    await driver.stdin.drain()
    first = await driver.stdout.readline()  # it prints when it is done with all tasks
    meter.read()
    rest = await driver.stdout.read()
    await driver.wait()
    return first + rest


async def _start(module: str, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 20
    )


def _options(**values: object) -> tuple[str, ...]:
    return tuple(word for name, value in values.items() for word in (f"--{name}", str(value)))


class Meter:
    """CPU seconds of each part and of the whole machine, from `start` to the last `read` that found the part alive."""

    def __init__(self) -> None:
        self._parts: dict[str, list[psutil.Process]] = {}
        self._begin: dict[int, float] = {}
        self._used: dict[str, float] = {}
        self._started = 0.0
        self._machine = 0.0

    def watch(self, part: str, pid: int) -> None:
        """Count a process to a part."""
        self._parts.setdefault(part, []).append(psutil.Process(pid))

    def start(self) -> None:
        """Begin to count."""
        self._begin = {p.pid: _cpu_s(p) or 0.0 for found in self._parts.values() for p in found}
        self._started, self._machine = time.monotonic(), _busy_s()

    def read(self) -> Mapping[str, Any]:
        """Return the share of a core that each part took since the start, and the share of all cores that were busy."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        for part, found in self._parts.items():
            used = [now - self._begin[p.pid] for p in found if (now := _cpu_s(p)) is not None]
            if len(used) == len(found):
                self._used[part] = sum(used)
        return {
            "seconds": round(seconds, 1),
            "cores": {part: round(used / seconds, 2) for part, used in self._used.items()},
            "cpu_s": {part: round(used, 1) for part, used in self._used.items()},
            "machine_busy": round((_busy_s() - self._machine) / seconds / (psutil.cpu_count() or 1), 2),
        }


def _cpu_s(process: psutil.Process) -> float | None:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return None
    return float(times.user + times.system)


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times[:9]) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))
