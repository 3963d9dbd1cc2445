"""Start and stop the server process, and wait until it answers."""

import http.client
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from penstock import child
from penstock.devkafka import ports
from penstock.localmodel import server, weights
from penstock.localmodel.errors import ModelStartError

START_TIMEOUT_S = 60.0
_POLL_S = 0.05
_TAIL_LINES = 25


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model server that runs."""

    base_url: str
    model: str
    pid: int
    log: Path
    process: child.Child

    def stop(self, timeout: float = child.GRACE_S) -> bool:
        """Stop it and drop its log; false if it was not running any more."""
        stopped = self.process.stop(timeout)
        self.log.unlink(missing_ok=True)
        return stopped


def start(port: int | None = None, *, threads: int | None = None, die_with_parent: bool = True) -> LocalModel:
    """Start the local model at `port` (default: some free one) and wait until it answers."""
    name = weights.name(weights.find())
    port = port or ports.any_free()
    if not ports.is_free(port):
        raise ModelStartError(f"Port {port} is taken by another process. Stop it, or choose another port.")
    handle, log = tempfile.mkstemp(prefix="penstock-model-", suffix=".log")
    os.close(handle)
    arguments = ["--port", str(port), "--threads", str(threads or server.default_threads())]
    command = [sys.executable, "-m", "penstock.localmodel", *arguments]
    process = child.spawn(command, output=Path(log), die_with_parent=die_with_parent)
    running = LocalModel(f"http://{server.HOST}:{port}/v1", name, process.pid, Path(log), process)
    try:
        _await_ready(running, port)
    except BaseException:
        process.stop()
        raise
    return running


def _await_ready(running: LocalModel, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if not running.process.alive():
            raise ModelStartError(f"The local model ended while it was starting. {_tail(running.log)}")
        if _model_at(port) == running.model:
            return
        time.sleep(_POLL_S)
    raise ModelStartError(f"The local model did not answer within {START_TIMEOUT_S:.0f} s. {_tail(running.log)}")


def _model_at(port: int) -> str | None:
    """Return the name of the model that is served at the port; None if none is, or it still loads."""
    connection = http.client.HTTPConnection(server.HOST, port, timeout=2)
    try:
        connection.request("GET", "/v1/models")
        answer = connection.getresponse()
        return str(json.load(answer)["data"][0]["id"]) if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None
    finally:
        connection.close()


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n".join(["It said:", *lines, f"The log is {log}"])
