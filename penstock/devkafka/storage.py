"""Format the data folder once, and refuse one that another Kafka version wrote."""

import base64
import json
import shutil
import subprocess
import uuid
from pathlib import Path

from penstock.devkafka import config, ports, secure
from penstock.devkafka.errors import DataVersionError, DevKafkaError, StartError
from penstock.devkafka.install import Distribution, Progress
from penstock.devkafka.state import Layout

_MARK = "penstock.json"
_FORMAT_TIMEOUT_S = 120


def prepare(layout: Layout, distribution: Distribution, progress: Progress, secured: bool = False) -> str:
    """Return the id of the cluster whose data the home has, formatting the folder if there is none."""
    if not layout.data.exists():
        progress(f"Formatting {layout.data}")
        _format(layout, distribution, secured)
    return _check(layout.data, distribution.version)


def is_secured(layout: Layout) -> bool:
    """Say whether the home's data folder was made with users."""
    try:
        return bool(json.loads((layout.data / _MARK).read_text()).get("secured"))
    except (FileNotFoundError, ValueError, AttributeError):
        return False


def require_secured(layout: Layout) -> None:
    """Raise if the home has data that were made without users: Kafka gets its first ones when a folder is formatted."""
    if layout.data.exists() and not is_secured(layout):
        raise DevKafkaError(
            f"The data in {layout.data} were made without users, and a secured Kafka gets its first ones with its data folder. "
            "Set PENSTOCK_HOME to another folder, or move that one away (or delete it, if its topics are no longer needed)."
        )


def _check(data: Path, version: str) -> str:
    try:
        mark = json.loads((data / _MARK).read_text())
        written, cluster_id = str(mark["kafka"]), str(mark["cluster_id"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        written, cluster_id = "an unknown version", ""
    if written != version:
        raise DataVersionError(
            f"The data in {data} were written by Kafka {written}, and this is Kafka {version}. Run the penstock that "
            "wrote them, or move that folder away (or delete it, if its topics are no longer needed) and start again."
        )
    return cluster_id


def _format(layout: Layout, distribution: Distribution, secured: bool) -> None:
    """Format beside the real place and rename, so that an interrupted format leaves no half-made folder."""
    fresh = layout.folder / "data.formatting"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    cluster_id = _new_cluster_id()
    settings = layout.folder / "format.properties"
    settings.write_text(config.render(config.server_properties(ports.any_free(), ports.any_free(), fresh.name, {})))
    users = secure.create(secure.of(layout)) if secured else []
    arguments = ("format", "--cluster-id", cluster_id, "--config", str(settings), *users)
    command = config.java(distribution, layout.logs, "kafka.tools.StorageTool", *arguments)
    _run(layout, command)
    mark = {"kafka": distribution.version, "cluster_id": cluster_id} | ({"secured": True} if secured else {})
    (fresh / _MARK).write_text(json.dumps(mark))
    fresh.rename(layout.data)


def _run(layout: Layout, command: list[str]) -> None:
    try:
        subprocess.run(  # noqa: S603 - our own command line
            command,
            cwd=layout.folder,
            env=config.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_FORMAT_TIMEOUT_S,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise StartError(
            f"Formatting {layout.data} failed: {error}\n{error.output or ''}\nThe log is {layout.log}"
        ) from error


def _new_cluster_id() -> str:
    """Return an id as Kafka makes them; a leading dash would be taken for an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made
