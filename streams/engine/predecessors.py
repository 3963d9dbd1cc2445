"""Workers of this machine that died without a goodbye: their place in the group is given up for them.

The group notices a dead member when its session times out, and until then the partitions of everybody stand still. A worker
holds a lock on a file that names its incarnation; the system lets go of it however the process ends. Whoever starts next finds
files nobody holds and tells the group. On another machine, or without the folder, the session timeout does its work as ever.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest

from streams.engine.clients import client_id_of, connected_admin
from streams.engine.config import EngineConfig

log = structlog.get_logger(__name__)

SUFFIX = ".worker"


@contextmanager
def lease(folder: Path | None, incarnation: str) -> Iterator[None]:
    """Hold this worker's file in `folder` while it lives; None: nothing is held."""
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{incarnation}{SUFFIX}"
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


async def dismiss_dead(config: EngineConfig, group: str) -> None:
    """Let dead workers of this machine leave `group`; if that fails, their session will time out."""
    dead = _dead(config.lease_folder) if config.lease_folder else {}
    if not dead:
        return
    async with connected_admin(config) as admin:
        try:
            for member in await _members(admin, group, dead):
                coordinator = await admin.find_coordinator(group)
                # aiokafka's admin client has the request, but no method for it.
                await admin._send_request(LeaveGroupRequest(group, member), coordinator)  # noqa: SLF001
                log.info("a dead worker left the group", group=group)
        except KafkaError as error:
            log.info("dead workers could not be dismissed, their session will time out", reason=repr(error))
            return
    for path in dead.values():
        path.unlink(missing_ok=True)


def _dead(folder: Path) -> dict[str, Path]:
    """Return client ids of workers whose file nobody holds."""
    return {client_id_of(path.stem): path for path in folder.glob(f"*{SUFFIX}") if not _is_held(path)}


def _is_held(path: Path) -> bool:
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return True  # it just ended by itself
    return False


async def _members(admin: AIOKafkaAdminClient, group: str, clients: Iterable[str]) -> list[str]:
    wanted = set(clients)
    found = []
    for response in await admin.describe_consumer_groups([group]):
        for described in response.to_object()["groups"]:
            found += [m["member_id"] for m in described["members"] if m["client_id"] in wanted]
    return found
