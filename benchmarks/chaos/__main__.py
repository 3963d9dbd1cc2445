"""`python -m benchmarks.chaos`: chaos for some minutes, then the auditor; one JSON line of figures, and how many violations. Exit 1 if anything was lost or violated."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import orjson

from benchmarks.chaos.drive import Outcome, Wanted, drive
from benchmarks.chaos.schedule import KINDS, plan
from benchmarks.chaos.verdict import verdict

DISTRIBUTION = Path(__file__).parents[2] / ".penstock" / "kafka-dist"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=25, help="runs per second over both workflows")
    parser.add_argument("--runs", type=int, help="so many runs and no more")
    parser.add_argument("--zombie", type=float, default=15, metavar="S", help="how long a worker is stopped")
    parser.add_argument("--only", action="append", choices=KINDS, help="this kind of event; may be given many times")
    parser.add_argument("--keep", action="store_true", help="leave logs and data, and say where")
    parser.add_argument("--plan", action="store_true", help="print what would happen, a JSON line per event")
    return parser.parse_args()


async def _run(wanted: Wanted, folder: Path) -> Outcome:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await drive(wanted, folder)


def main() -> int:
    """Parse the arguments, run, judge."""
    given = _arguments()
    events = plan(given.seed, given.minutes * 60, given.workers, given.zombie, given.only or KINDS)
    if given.plan:
        for event in events:
            print(orjson.dumps(asdict(event)).decode())
        return 0
    os.environ.setdefault("PENSTOCK_KAFKA_DIST", str(DISTRIBUTION))
    folder = Path(tempfile.mkdtemp(prefix="penstock-chaos-"))
    print(f"logs and data in {folder}", file=sys.stderr)
    bad = True
    try:
        wanted = Wanted(events, given.seed, given.minutes * 60, given.rate, given.workers, given.runs)
        figures = verdict(wanted, asyncio.run(_run(wanted, folder)))
        print(orjson.dumps(figures).decode())
        print(f"{figures['violations']} violations", flush=True)
        bad = not figures["ok"]
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted", file=sys.stderr)
    finally:
        if given.keep or bad:
            print(f"logs and data left in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
