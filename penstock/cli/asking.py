"""What commands of people have in common: who asks, at which workflows they look, and what is edited."""

from __future__ import annotations

import getpass
import socket
import sys
from typing import TYPE_CHECKING, Any

import typer

from penstock.cli.errors import BadUsage, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.client.look import Look
    from streams.engine.config import EngineConfig


def requester() -> str:
    """Return who asks, for the journal; a container may run as a user without a name."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


async def look(config: EngineConfig, workflow_id: str | None, topics: Mapping[str, int] | None = None) -> Look:
    """Return a look at the workflow named, else at all that can be read; which are left out is said. `topics`: the broker's, if known.

    Raises:
        UnknownWorkflow: the one named is not there.
    """
    from penstock.client.look import look_at
    from penstock.client.workflows import topics_on

    found = await topics_on(config) if topics is None else topics
    return look_at(workflow_id, found, lambda text: say(f"penstock: {text}"))


def agreed(question: str) -> bool:
    """Ask at the terminal. Not by `typer.confirm`: even told to use stderr it writes a space to stdout, where only results belong."""
    typer.echo(question, nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def patch_of(edit: str | None, meant: str) -> dict[str, Any] | None:
    """Return the merge patch in `--edit`, None if there is none; raise `BadUsage` if it is no JSON object: `meant` says what it should be."""
    from schemas.codec import loads

    if edit is None:
        return None
    try:
        patch = loads(edit)
    except ValueError as error:
        raise BadUsage(f"--edit: not JSON: {error}") from None
    if not isinstance(patch, dict):
        raise BadUsage(f"--edit: it is a JSON object of {meant}")
    return patch
