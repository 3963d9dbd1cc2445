"""Run the server: one JSON line with its base_url when it listens, then until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from typing import Any

import orjson
import uvloop

from benchmarks.provider.config import Config, Latency, parse_config
from benchmarks.provider.server import ProviderServer


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.provider", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--latency", help="fixed:MS, uniform:LOW:HIGH or lognormal:MEDIAN:SIGMA[:MAX]")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=RATE", help="may be given many times")
    parser.add_argument("--config", type=Path, help="a JSON file; the options above win over it")
    return parser.parse_args()


def read_config(arguments: argparse.Namespace) -> Config:
    """Merge the file and the options."""
    config = parse_config(orjson.loads(arguments.config.read_bytes())) if arguments.config else Config()
    changes: dict[str, Any] = {}
    if arguments.seed is not None:
        changes["seed"] = arguments.seed
    if arguments.latency:
        changes["latency"] = Latency.parse(arguments.latency)
    if arguments.fault:
        pairs = (entry.partition("=") for entry in arguments.fault)
        changes["faults"] = {name: float(rate) for name, _, rate in pairs}
    return parse_config(changes, config)


async def _serve(config: Config, port: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with ProviderServer(config, port) as server:
        listening = {"base_url": server.base_url, "admin_url": f"{server.root_url}/admin", "port": server.port}
        print(orjson.dumps(listening).decode(), flush=True)
        await stopped.wait()


def main() -> None:
    """Parse the arguments and serve."""
    arguments = _arguments()
    try:
        config = read_config(arguments)
    except (ValueError, OSError) as error:
        raise SystemExit(f"provider: {error}") from error
    uvloop.run(_serve(config, arguments.port))


if __name__ == "__main__":
    main()
