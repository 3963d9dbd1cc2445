"""The document-intake example on a secured Kafka with the printed ACLs; then each ACL is taken away once, and a worker started.

One JSON line per ACL, a summary at the end; exit 1 unless a worker names every one.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.acls import kafka_acls
from penstock import devkafka
from penstock.devkafka import ports
from penstock.security import client_arguments
from penstock.settings import load
from streams.engine.clients import connected_admin
from streams.engine.config import EngineConfig
from topology.acls import Acl

ROOT = Path(__file__).parents[2]
FILE = ROOT / "workflows" / "document-intake" / "workflow.yaml"
USER = "User:penstock"


class Scene:
    """A secured broker, a provider, and commands as one of the broker's users."""

    def __init__(self, folder: Path, broker: devkafka.Broker, provider: str) -> None:
        assert broker.config is not None
        self.folder, self.broker, self._users = folder, broker, broker.config.parent
        self._env = {
            **os.environ,
            "PENSTOCK_HOME": str(broker.home),
            "OPENAI_BASE_URL": provider,
            "DOCUMENT_INTAKE_DB": str(folder / "db.sqlite"),
        }

    def env(self, user: str) -> dict[str, str]:
        """Return the environment of a command as `user`."""
        return {**self._env, "PENSTOCK_CONFIG": str(self._users / f"{user}.toml")}

    def run(self, user: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, a worker until it is ready."""
        argv = [sys.executable, "-m", "penstock", *map(str, words)]
        return subprocess.run(
            argv, env=self.env(user), cwd=self.folder, capture_output=True, text=True, check=False, timeout=120
        )

    def worker(self, *options: str) -> tuple[subprocess.Popen[str], str]:
        """Start a worker; return it and its first line, empty if it ended before it was ready."""
        argv = [sys.executable, "-m", "penstock", "worker", str(FILE), "--json", *options]
        process = subprocess.Popen(
            argv, env=self.env("penstock"), cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        return process, process.stdout.readline()


def end_to_end(scene: Scene) -> dict[str, Any]:
    """Apply the printed lines with Kafka's own tool; publish, work, consume, look."""
    roles = ("--for", "worker", "--for", "publisher")
    lines = scene.run("penstock", "acls", FILE, "--principal", "penstock", *roles).stdout.splitlines()
    for line in lines:
        done = scene.run("admin", "kafka", "exec", *shlex.split(line))
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
    worker, ready = scene.worker()
    documents = (FILE.parent / "documents.jsonl").read_text().splitlines()[:3]
    for n, text in enumerate(documents):
        scene.run("penstock", "publish", "document-intake", "--run-id", f"d{n}", "--input", text)
    told = scene.run(
        "penstock", "consume", "document-intake", "--from", "earliest", "--max", "3", "--timeout", "60", "--json"
    )
    shown = scene.run("penstock", "runs", "show", "d0", "--json")
    worker.terminate()
    worker.communicate()
    statuses = [json.loads(line)["status"] for line in told.stdout.splitlines()]
    return {
        "lines": len(lines),
        "ready": bool(ready),
        "statuses": statuses,
        "shown": json.loads(shown.stdout)["status"] if shown.returncode == 0 else shown.stderr,
        "exit": worker.returncode,
    }


async def one_less(scene: Scene, acl: Acl) -> dict[str, Any]:
    """Take an ACL away, start a worker, and say whether it named it."""
    config = EngineConfig(scene.broker.bootstrap, kafka=client_arguments(load()))
    began = time.monotonic()
    async with connected_admin(config) as admin:
        async with kafka_acls.without(admin, USER, acl):
            await asyncio.sleep(0.3)  # until the broker has applied it
            worker, ready = await asyncio.to_thread(scene.worker)
            if ready:
                worker.terminate()
            _, said = await asyncio.to_thread(worker.communicate)
        await asyncio.sleep(0.3)
    line = next((line for line in said.splitlines() if "--add" in line), "").strip()
    named = worker.returncode == 2 and f"is not allowed: {acl}" in said and line.endswith(_options(acl))
    return {"acl": str(acl), "exit": worker.returncode, "named": named, "seconds": round(time.monotonic() - began, 1)}


def _options(acl: Acl) -> str:
    return f"--operation {acl.operation} " + (
        "--cluster" if acl.resource == "cluster" else f"--{acl.resource} {acl.name}"
    )


def acls_of(scene: Scene) -> list[Acl]:
    """Return what is printed for a worker."""
    told = scene.run("penstock", "acls", FILE, "--principal", "penstock", "--json")
    return [
        Acl(one["resource_type"], one["resource_name"], one["operation"])
        for one in map(json.loads, told.stdout.splitlines())
    ]


def main() -> None:
    """Run it all."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        argv = [sys.executable, "-m", "benchmarks.provider"]
        provider = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert provider.stdout is not None
        url = json.loads(provider.stdout.readline())["base_url"]
        broker = devkafka.start(folder / "home", ports.any_free(), die_with_parent=True, secured=True)
        assert broker.config is not None
        os.environ["PENSTOCK_CONFIG"] = str(broker.config.with_name("admin.toml"))
        try:
            ok = _scenes(Scene(folder, broker, url))
        finally:
            broker.stop()
            provider.terminate()
            provider.communicate()
    raise SystemExit(0 if ok else 1)


def _scenes(scene: Scene) -> bool:
    """Before the topics are made each right to create is taken away; when they are there, each of the others."""
    acls = acls_of(scene)
    creating = [acl for acl in acls if acl.operation in ("Create", "DescribeConfigs")]
    asyncio.run(_allow(scene, acls))
    found = [_told(asyncio.run(one_less(scene, acl))) for acl in creating]
    whole = end_to_end(scene)
    print(json.dumps(whole), flush=True)
    found += [_told(asyncio.run(one_less(scene, acl))) for acl in acls if acl not in creating]
    named = sum(one["named"] for one in found)
    good = whole["statuses"] == ["success"] * 3 and whole["exit"] == 0
    print(json.dumps({"acls": len(found), "named": named, "works_with_all": good}), flush=True)
    return good and named == len(found)


async def _allow(scene: Scene, acls: list[Acl]) -> None:
    config = EngineConfig(scene.broker.bootstrap, kafka=client_arguments(load()))
    async with connected_admin(config) as admin:
        await kafka_acls.add(admin, USER, acls)
        await asyncio.sleep(1)


def _told(one: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps(one), flush=True)
    return one


if __name__ == "__main__":
    main()
