"""What nodes share within a worker: providers, threads, processes, a logger."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger

from streams.nodes.process_pool import HandlerProcesses
from streams.providers.registry import ProviderRegistry

if TYPE_CHECKING:
    from streams.telemetry.telemetry import Telemetry

DEFAULT_THREADS = 64
"""Handlers mostly wait; a thread that waits costs little, one that is missing holds up a run."""


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(DEFAULT_THREADS, thread_name_prefix="penstock-handler")


def _logger() -> FilteringBoundLogger:
    logger: FilteringBoundLogger = structlog.get_logger("penstock")
    return logger


@dataclass(frozen=True, slots=True)
class Resources:
    """Made once per worker; `module_paths` are folders `package.module:name` handlers may be in, besides the current one."""

    providers: ProviderRegistry = field(default_factory=ProviderRegistry)
    threads: ThreadPoolExecutor = field(default_factory=_threads)
    logger: FilteringBoundLogger = field(default_factory=_logger)
    module_paths: tuple[Path, ...] = ()
    processes: HandlerProcesses = field(default_factory=HandlerProcesses)
    telemetry: Telemetry | None = None

    async def aclose(self) -> None:
        """Close connections, and send what telemetry holds; a handler that still runs is not waited for, in a process it is ended."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        await self.processes.aclose()
        await self.providers.aclose()
        if self.telemetry is not None:
            await asyncio.to_thread(self.telemetry.close)
