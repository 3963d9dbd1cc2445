"""Worker processes, as users start them: `penstock worker FILE FILE`, each behind a network line of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.waiting import until
from penstock import child

DRAIN_S = 45.0
"""An engine drains for 30 s at most."""

ROOT = Path(__file__).parents[2]
STACKS = Path(__file__).parent / "stacks"
"""With this in its path a worker says on SIGUSR1 what it waits for."""

_OURS = ("OPENAI_", "PENSTOCK_BOOTSTRAP", "PENSTOCK_CONFIG", "PENSTOCK_HOME")


@dataclass(frozen=True, slots=True)
class Site:
    """What all workers share."""

    folder: Path
    provider: str
    files: Sequence[Path]
    partitions: int


class Worker:
    """The process in one slot: started again and again, each time with a log of its own."""

    def __init__(self, slot: int, site: Site, proxy: Proxy) -> None:
        self.slot = slot
        self.proxy = proxy
        self.busy = asyncio.Lock()
        """Held while something is done to it."""
        self.wanted = False
        """It should run; if it does not, it ended by itself."""
        self.started = 0.0
        self._site = site
        self._starts = 0
        self._process: child.Child | None = None

    @property
    def log(self) -> Path:
        """The log of the process that was started last."""
        return self._site.folder / f"worker-{self.slot}.{self._starts}.log"

    @property
    def alive(self) -> bool:
        """Say whether it runs, be it stopped in its tracks."""
        return self._process is not None and self._process.alive()

    @property
    def ready(self) -> bool:
        """Say whether the process that was started last has ever been ready for all its workflows."""
        return self.alive and self.was_ready

    @property
    def was_ready(self) -> bool:
        """The same of a process that has ended."""
        return self.log.exists() and self.log.read_text().count("worker ready") >= len(self._site.files)

    def start(self) -> None:
        """Start a process."""
        self._starts += 1
        argv = [sys.executable, "-m", "penstock", "worker", *map(str, self._site.files)]
        argv += ["--partitions", str(self._site.partitions)]
        cwd = self._site.folder
        self._process = child.spawn(argv, output=self.log, cwd=cwd, env=self._env(), die_with_parent=True)
        self.started = time.time()
        self.wanted = True

    def _env(self) -> dict[str, str]:
        """Even slots start again on the same machine, where a dead predecessor is found out; odd ones on a new one."""
        home = self._site.folder / (f"home-{self.slot}" if self.slot % 2 == 0 else f"home-{self.slot}.{self._starts}")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return {
            **kept,
            "PENSTOCK_HOME": str(home),
            "PENSTOCK_BOOTSTRAP": f"127.0.0.1:{self.proxy.port}",
            "OPENAI_BASE_URL": self._site.provider,
            "OPENAI_API_KEY": "chaos",
            "PYTHONPATH": f"{STACKS}{os.pathsep}{ROOT}",
        }

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if there is a process."""
        if self._process is not None and self._process.alive():
            os.kill(self._process.pid, number)

    async def kill(self) -> None:
        """End it with SIGKILL."""
        self.wanted = False
        self.signal(signal.SIGKILL)
        await self._ended(10)

    async def term(self) -> bool:
        """End it with SIGTERM; say whether it drained and left in order."""
        self.wanted = False
        if not self.alive:
            return True
        self.signal(signal.SIGTERM)
        if await self._ended(DRAIN_S):
            return self.log.read_text().rstrip().endswith("stopped")
        self.signal(signal.SIGUSR1)
        await self._ended(1)
        await self.kill()
        return False

    async def _ended(self, seconds: float) -> bool:
        return await until(lambda: not self.alive, seconds)
