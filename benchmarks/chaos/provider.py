"""The provider of the chaos: `benchmarks.provider` in a process of its own, and what its ledger says afterwards."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.chaos.waiting import until
from penstock import child

ROOT = Path(__file__).parents[2]
START_S = 20
SHAKY = {"http_500": 0.08, "rate_limit_ms": 0.06, "malformed_body": 0.04, "schema_break": 0.04, "reset": 0.02}
"""What the model `shaky` does to a call; `steady` only takes its time."""


class Provider:
    """A running provider."""

    def __init__(self, process: child.Child, addresses: dict[str, Any]) -> None:
        self._process = process
        self.base_url = str(addresses["base_url"])
        self._admin = str(addresses["admin_url"])

    async def calls(self) -> list[dict[str, Any]]:
        """Return every call so far, in the order in which they came."""
        return list((await asyncio.to_thread(self._get, "calls"))["calls"])

    def _get(self, what: str) -> dict[str, Any]:
        with urlopen(f"{self._admin}/{what}", timeout=60) as answer:
            return dict(json.load(answer))

    async def stop(self) -> None:
        """End it."""
        await asyncio.to_thread(self._process.stop, 5.0)


async def start(folder: Path, seed: int) -> Provider:
    """Start one and wait until it listens."""
    config = folder / "provider.json"
    rules = [{"model": "shaky", "faults": SHAKY}]
    latency = "lognormal:300:0.3:3000"
    config.write_text(json.dumps({"seed": seed, "latency": latency, "retry_after_s": 0.4, "rules": rules}))
    said = folder / "provider.log"
    argv = [sys.executable, "-m", "benchmarks.provider", "--config", str(config)]
    process = child.spawn(argv, output=said, cwd=ROOT, die_with_parent=True)
    try:
        if not await until(lambda: said.read_text().endswith("\n"), START_S):
            raise TimeoutError(f"the provider does not listen after {START_S} s: {said.read_text()}")
        return Provider(process, json.loads(said.read_text()))
    except BaseException:
        await asyncio.to_thread(process.stop, 5.0)
        raise
