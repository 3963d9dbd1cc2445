"""What commands of people have in common: who asks, and what is edited."""

from __future__ import annotations

import getpass
import socket
import sys
from typing import Any

import typer

from penstock.cli.errors import BadUsage


def requester() -> str:
    """Return who asks, for the journal; a container may run as a user without a name."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


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
