"""What a page shows of files is valid: workflows check, handlers compile, JSON and settings parse."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from penstock import settings
from tests.docs.pages import ROOT, Block, blocks, name_of, pages
from topology.load import load_workflow
from topology.spec import KINDS, WorkflowSpec

PLACEHOLDER = "..."
"""Stands for the keys that a snippet leaves out: then required ones may be missing."""


def of(*languages: str) -> list[Any]:
    found = ((page, block) for page in pages() for block in blocks(page) if block.language in languages)
    return [
        pytest.param(page, block, id=f"{name_of(page)}:{block.line}") for page, block in found if not block.is_fragment
    ]


@pytest.mark.parametrize(("page", "block"), of("yaml"))
def test_yaml_says_what_a_workflow_may(page: Path, block: Block) -> None:
    value = YAML(typ="safe").load(block.text)
    if isinstance(value, Mapping) and "workflow" in value and not block.title:
        file = ROOT / "workflows" / value["workflow"]["id"] / "workflow.yaml"
        assert value == YAML(typ="safe").load(file.read_text(encoding="utf-8")), f"differs from {file}"
    elif isinstance(value, list):
        assert [problem for node in value for problem in problems(KINDS[node["type"]], node)] == []
    elif isinstance(value, Mapping) and set(value) <= set(WorkflowSpec.model_fields):
        assert problems(WorkflowSpec, {**value, PLACEHOLDER: None}) == []
    elif isinstance(value, Mapping) and "workflow" in value:
        assert problems(WorkflowSpec, value["workflow"]) == []


def problems(model: Any, value: Mapping[str, Any]) -> list[str]:
    """Return what the model says against `value`."""
    try:
        model.model_validate({key: part for key, part in value.items() if key != PLACEHOLDER}, strict=True)
    except ValidationError as error:
        left_out = PLACEHOLDER in value
        return [f"{one['loc']}: {one['msg']}" for one in error.errors() if not (left_out and one["type"] == "missing")]
    return []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_a_page_that_writes_a_workflow_writes_a_valid_one(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.title:
            file = tmp_path / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
    for file in tmp_path.rglob("workflow.yaml"):
        assert load_workflow(file).errors == ()


@pytest.mark.parametrize(("page", "block"), of("python"))
def test_python_compiles(page: Path, block: Block) -> None:
    compile(block.text, f"{name_of(page)}:{block.line}", "exec")


@pytest.mark.parametrize(("page", "block"), of("json", "jsonl"))
def test_json_parses(page: Path, block: Block) -> None:
    for text in documents(block):
        json.loads(text)


def documents(block: Block) -> Iterator[str]:
    yield from block.text.splitlines() if (block.title or "").endswith("jsonl") else [block.text]


@pytest.mark.parametrize(("page", "block"), of("toml"))
def test_settings_are_settings(page: Path, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = re.sub(r'"(/[^"]+)"', lambda path: f'"{_there(tmp_path, path[1])}"', block.text)
    (tmp_path / "penstock.toml").write_text(text, encoding="utf-8")
    for provider in tomllib.loads(block.text).get("providers", {}).values():
        monkeypatch.setenv(provider.get("api_key_env", "NO_KEY"), "a-key")
    monkeypatch.delenv("PENSTOCK_CONFIG", raising=False)
    settings.load(tmp_path)


def _there(folder: Path, path: str) -> Path:
    """Return a file of `folder` that stands for one that a snippet names."""
    file = folder / path.strip("/").replace("/", "-")
    file.write_text("text\n", encoding="utf-8")
    return file
