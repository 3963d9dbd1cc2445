"""The reference is made from the models: nothing in it may be without a word of explanation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from docsite import reference
from penstock import settings
from penstock.cli.main import app
from tests.docs.pages import ROOT
from topology.spec import KINDS, BatchSpec, BudgetSpec, ClaimCheckSpec, ReviewSpec, RuleSpec, WorkflowSpec

SPECS: tuple[type[BaseModel], ...] = (
    WorkflowSpec,
    *KINDS.values(),
    BudgetSpec,
    BatchSpec,
    ClaimCheckSpec,
    RuleSpec,
    ReviewSpec,
)


@pytest.mark.parametrize(
    "model", [*SPECS, settings.Settings, settings.ProviderSettings], ids=lambda model: model.__name__
)
def test_every_key_says_what_it_does(model: type[BaseModel]) -> None:
    assert [name for name, key in model.model_fields.items() if not key.description and name != "type"] == []


def test_every_option_says_what_it_does() -> None:
    silent = [
        f"{path} {parameter.opts[0]}"
        for path, command in commands("penstock", typer.main.get_command(app))
        for parameter in command.params
        if parameter.opts[0].startswith("--") and not parameter.help
    ]
    assert silent == []


def test_every_command_and_key_is_in_the_reference() -> None:
    command_line, workflow, configuration = reference.command_line(), reference.workflow(), reference.configuration()
    assert [
        path for path, _ in commands("penstock", typer.main.get_command(app)) if f"`{path}`" not in command_line[1:]
    ] == ["penstock"]
    assert [name for model in SPECS for name in model.model_fields if f"| `{name}` |" not in workflow] == []
    for name in set(settings.Settings.model_fields) - {"config_file"}:
        assert f"`{name}`" in configuration or name.upper() in configuration, name


def commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(f"{path} {name}", inner)


def test_every_kind_of_error_is_explained() -> None:
    made = re.compile(
        r"(?:NodeError|ErrorInfo|Poison)\(\s*\"([a-z_]+)\"|^[A-Z_]*KIND[A-Z_]* = \"([a-z_]+)\"", re.MULTILINE
    )
    files = (ROOT / "streams").rglob("*.py")
    kinds = {found[1] or found[2] for file in files for found in made.finditer(file.read_text(encoding="utf-8"))}
    page = (ROOT / "docs" / "writing-a-workflow.md").read_text(encoding="utf-8")
    assert "timeout" in kinds
    assert {kind for kind in kinds if f"`{kind}`" not in page} == set()
