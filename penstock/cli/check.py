"""`penstock check`: is a workflow right?"""

from __future__ import annotations

import dataclasses

import typer

from penstock.cli import output, workflow_files
from penstock.cli.errors import BAD_USAGE, say
from penstock.cli.options import AsJson, HiddenBootstrap, Partitions, WorkflowFile


def check(
    file: WorkflowFile, partitions: Partitions = None, bootstrap: HiddenBootstrap = None, as_json: AsJson = False
) -> None:
    """Check a workflow: every error and warning as `file:line:col: message`. Exit 2 if there are errors."""
    loaded = workflow_files.load(file, partitions)
    for finding in (*loaded.errors, *loaded.warnings):
        if as_json:
            output.line(dataclasses.asdict(finding))
        else:
            output.text(str(finding))
    if loaded.errors:
        raise typer.Exit(BAD_USAGE)
    warned = f", {len(loaded.warnings)} warning(s)" if loaded.warnings else ""
    say(f"{file}: ok{warned}")
